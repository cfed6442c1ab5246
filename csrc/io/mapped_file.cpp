#include "io/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "io/checkpoint_error.h"
#include "io/open_file.h"

namespace lenswright {

std::shared_ptr<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  OpenFile file(path);
  const uint64_t size = file.size();
  void* data = nullptr;
  if (size > 0) {
    // NORESERVE: a private writable map would otherwise be charged in full against the memory
    // limit, though only the pages that are written ever need memory.
    data =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.get(), 0);
    if (data == MAP_FAILED) throw_errno("cannot map", path.string());
  }
  return std::shared_ptr<MappedFile>(
      new MappedFile(path, file.release(), size, static_cast<std::byte*>(data)));
}

MappedFile::MappedFile(std::filesystem::path path, int descriptor, uint64_t size, std::byte* data)
    : path_(std::move(path)), descriptor_(descriptor), size_(size), data_(data) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
  ::close(descriptor_);
}

void MappedFile::check_unchanged() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw_errno("cannot look at", path_.string());
  const auto now = static_cast<uint64_t>(status.st_size);
  if (now >= size_) return;
  throw CheckpointError(Flaw::changed, path_.filename().string(),
                        "the file shrank from " + std::to_string(size_) + " to " +
                            std::to_string(now) + " bytes while it was open");
}

namespace {

// Page-aligned: outwards for advice, inwards for release, so that neighbours keep their pages.
struct Pages {
  uint64_t begin, end;
};

Pages outwards(uint64_t begin, uint64_t end, uint64_t page) { return {begin / page * page, end}; }

Pages inwards(uint64_t begin, uint64_t end, uint64_t size, uint64_t page) {
  return {(begin + page - 1) / page * page, end == size ? end : end / page * page};
}

}  // namespace

void MappedFile::advise(Advice advice, uint64_t begin, uint64_t end) const {
  const auto [from, to] = outwards(begin, std::min(end, size_), sysconf(_SC_PAGESIZE));
  if (from >= to) return;
  int code = MADV_NORMAL;
  if (advice == Advice::sequential) code = MADV_SEQUENTIAL;
  if (advice == Advice::will_need) code = MADV_WILLNEED;
  ::madvise(data_ + from, to - from, code);  // advice only: failing is harmless
}

void MappedFile::release(uint64_t begin, uint64_t end) const {
  const auto [from, to] = inwards(begin, std::min(end, size_), size_, sysconf(_SC_PAGESIZE));
  if (from < to) ::madvise(data_ + from, to - from, MADV_DONTNEED);
}

}  // namespace lenswright
