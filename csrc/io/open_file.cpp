#include "io/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace lenswright {

// O_NONBLOCK: opening a named pipe must not wait for somebody to write to it.
OpenFile::OpenFile(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) throw_errno("cannot open", path.string());
  struct stat status {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (known && S_ISREG(status.st_mode)) return;
  ::close(std::exchange(descriptor_, -1));
  throw FileError(S_ISDIR(status.st_mode) ? EISDIR : EINVAL,
                  "not a regular file: " + in_quotes(path.string()));
}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = other.release();
  }
  return *this;
}

int OpenFile::release() { return std::exchange(descriptor_, -1); }

uint64_t OpenFile::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw_errno("cannot look at", "an open file");
  return static_cast<uint64_t>(status.st_size);
}

FileIdentity identity(int descriptor) {
  struct stat s {};
  if (::fstat(descriptor, &s) != 0) throw_errno("cannot look at", "an open file");
  return {s.st_dev, s.st_ino, static_cast<uint64_t>(s.st_size),
          int64_t{s.st_mtim.tv_sec} * 1'000'000'000 + s.st_mtim.tv_nsec};
}

bool read_at(int descriptor, uint64_t offset, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pread(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("cannot read", "an open file");
    if (n == 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

void write_at(int descriptor, uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("cannot write", "an output file");
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

void read_ahead(int descriptor, uint64_t offset, uint64_t count) {
  ::posix_fadvise(descriptor, static_cast<off_t>(offset), static_cast<off_t>(count),
                  POSIX_FADV_WILLNEED);
}

void forget_pages(int descriptor, uint64_t offset, uint64_t count) {
  ::posix_fadvise(descriptor, static_cast<off_t>(offset), static_cast<off_t>(count),
                  POSIX_FADV_DONTNEED);
}

uint64_t available_memory() {
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    unsigned long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu kB", &kilobytes) == 1) {
      return uint64_t{kilobytes} * 1024;
    }
  }
  const auto pages = ::sysconf(_SC_AVPHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(size);
}

std::string read_text(const std::filesystem::path& path, uint64_t limit) {
  const OpenFile file(path);
  const uint64_t size = file.size();
  if (size > limit) {
    throw FileError(EFBIG, in_quotes(path.string()) + " has " + std::to_string(size) +
                               " bytes, expected at most " + std::to_string(limit));
  }
  std::string text(size, '\0');
  if (!read_at(file.get(), 0, std::as_writable_bytes(std::span(text)))) {
    throw FileError(EIO, in_quotes(path.string()) + " became shorter while it was read");
  }
  return text;
}

void sync_folder(const std::filesystem::path& folder) {
  const OpenFile handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0) throw_errno("cannot open folder", folder.string());
  // Some file systems cannot sync a folder and say so with EINVAL.
  if (::fsync(handle.get()) != 0 && errno != EINVAL) throw_errno("cannot sync", folder.string());
}

}  // namespace lenswright
