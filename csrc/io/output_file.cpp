#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <random>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "io/open_file.h"

namespace lenswright {
namespace {

constexpr uint64_t kPiece = 32u << 20;    // of a server's copying, between two calls of `step`
constexpr uint64_t kBuffer = 256u << 10;  // stays in a core's own cache

// Errors that mean "not between these two files", not "the disk is broken".
bool cannot_within_kernel(int code) {
  return code == EXDEV || code == ENOSYS || code == EOPNOTSUPP || code == EINVAL || code == EPERM;
}

// The disk begins at once, beside our reading, and not only at the fsync. Advice: it may fail.
void start_writing(int file, uint64_t at, uint64_t count) {
  ::sync_file_range(file, static_cast<off64_t>(at), static_cast<off64_t>(count),
                    SYNC_FILE_RANGE_WRITE);
}

[[noreturn]] void source_ended() {
  throw FileError(EIO, "cannot copy: the source became shorter while it was read");
}

bool reserve(int file, uint64_t bytes) {
  // Asked first: trying would fill the disk for a moment, and others write to it, too.
  struct statvfs disk {};
  if (::fstatvfs(file, &disk) == 0 && bytes / disk.f_frsize > disk.f_bavail) {
    errno = ENOSPC;
    return false;
  }
  const auto size = static_cast<off_t>(bytes);
  if (::fallocate(file, 0, 0, size) == 0) return true;
  return cannot_within_kernel(errno) && ::ftruncate(file, size) == 0;
}

// The same blocks under both names, where the file system has such and the offsets fit.
bool share_blocks(int source, uint64_t from, int target, uint64_t to, uint64_t count) {
  file_clone_range range{};
  range.src_fd = source;
  range.src_offset = from;
  range.src_length = count;
  range.dest_offset = to;
  return ::ioctl(target, FICLONERANGE, &range) == 0;
}

// Whether a server may copy for us, so that the bytes do not travel twice.
bool is_remote(int file) {
  constexpr unsigned kCifs = 0xFF534D42;  // not in every version of the header
  struct statfs system {};
  if (::fstatfs(file, &system) != 0) return false;
  const auto type = static_cast<unsigned>(system.f_type);
  return type == NFS_SUPER_MAGIC || type == SMB2_SUPER_MAGIC || type == kCifs;
}

// False when the kernel cannot copy between these files; nothing has been copied then.
bool copy_in_kernel(int source, uint64_t& from, int target, uint64_t& to, uint64_t& left,
                    const std::function<void(uint64_t)>& step) {
  while (left > 0) {
    auto in = static_cast<off64_t>(from), out = static_cast<off64_t>(to);
    const ssize_t n = ::copy_file_range(source, &in, target, &out, std::min(left, kPiece), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && cannot_within_kernel(errno)) return false;
    if (n < 0) throw_errno("cannot write", "an output file");
    if (n == 0) source_ended();
    start_writing(target, to, static_cast<uint64_t>(n));
    from += static_cast<uint64_t>(n);
    to += static_cast<uint64_t>(n);
    left -= static_cast<uint64_t>(n);
    if (step) step(static_cast<uint64_t>(n));
  }
  return true;
}

}  // namespace

void begin_writeback(int descriptor) { start_writing(descriptor, 0, 0); }

void copy_range(int source, uint64_t from, int target, uint64_t to, uint64_t left,
                const std::function<void(uint64_t)>& step) {
  if (left == 0) return;
  if (share_blocks(source, from, target, to, left)) {
    if (step) step(left);
    return;
  }
  // On a disk of this machine copy_file_range takes twice the time of a buffer: it moves page by
  // page through a pipe, and one writer at a time.
  if (is_remote(target) && copy_in_kernel(source, from, target, to, left, step)) return;
  std::vector<std::byte> buffer(std::min(left, kBuffer));
  while (left > 0) {
    const auto piece = std::span(buffer).first(std::min<uint64_t>(left, buffer.size()));
    if (!read_at(source, from, piece)) source_ended();
    write_at(target, to, piece);
    start_writing(target, to, piece.size());
    from += piece.size();
    to += piece.size();
    left -= piece.size();
    if (step) step(piece.size());
  }
}

OpenFile create_file(const std::filesystem::path& path, uint64_t bytes) {
  OpenFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) throw_errno("cannot create", path.string());
  if (bytes == 0) return file;
  if (reserve(file.get(), bytes)) return file;
  const int code = errno;
  ::unlink(path.c_str());
  errno = code;
  throw_errno("cannot reserve " + std::to_string(bytes) + " bytes for", path.string());
}

void rename_new(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  // Some file systems know no such flag. rename() itself never replaces a folder that is not empty.
  if (errno == EINVAL || errno == ENOSYS) {
    if (std::filesystem::exists(std::filesystem::symlink_status(to))) {
      errno = EEXIST;
    } else if (::rename(from.c_str(), to.c_str()) == 0) {
      return;
    }
  }
  throw_errno("cannot give the finished output its name", to.string());
}

void exchange(const std::filesystem::path& one, const std::filesystem::path& other) {
  if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0) return;
  throw_errno("cannot give the finished output the name of", other.string());
}

std::filesystem::path partial_path(const std::filesystem::path& path) {
  char tail[48];
  std::snprintf(tail, sizeof tail, ".partial-%d-%08x", static_cast<int>(::getpid()),
                static_cast<unsigned>(std::random_device()()));
  std::string name = ".";
  name += path.filename().string();
  name += tail;
  return path.parent_path() / name;
}

}  // namespace lenswright
