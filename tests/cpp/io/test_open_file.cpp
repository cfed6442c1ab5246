#include "io/open_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "files.h"

using namespace lenswright;

namespace {

// Whether the page cache holds nothing of a file.
bool nothing_cached(const OpenFile& file) {
  const uint64_t size = file.size();
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  REQUIRE(map != MAP_FAILED);
  std::vector<unsigned char> there((size + page - 1) / page);
  REQUIRE(::mincore(map, size, there.data()) == 0);
  ::munmap(map, size);
  return std::ranges::none_of(there, [](unsigned char one) { return (one & 1) != 0; });
}

// A folder in memory has nothing but the page cache, and keeps it.
bool on_disk(const OpenFile& file) {
  struct statfs system {};
  constexpr auto kTmpfs = 0x01021994;
  return ::fstatfs(file.get(), &system) == 0 && system.f_type != kTmpfs;
}

}  // namespace

TEST_CASE("open_file: pages that are forgotten leave the cache, and their bytes stay") {
  const test::TempFolder folder;
  const std::string text(1 << 20, 'x');
  const OpenFile file(folder.write("a", text));
  REQUIRE(::fsync(file.get()) == 0);
  read_ahead(file.get(), 0, file.size());
  forget_pages(file.get(), 0, 0);
  if (on_disk(file)) REQUIRE(nothing_cached(file));
  std::string again(text.size(), '\0');
  REQUIRE(read_at(file.get(), 0, std::as_writable_bytes(std::span(again))));
  REQUIRE(again == text);
}

TEST_CASE("open_file: there is memory to be had") {
  const uint64_t bytes = available_memory();
  REQUIRE(bytes > (16u << 20));
  const auto pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  REQUIRE(bytes <= static_cast<uint64_t>(pages) * static_cast<uint64_t>(size));
}
