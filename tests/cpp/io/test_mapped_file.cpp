#include "io/mapped_file.h"

#include "base/error.h"
#include "io/checkpoint_error.h"
#include "io/files.h"

using namespace lenswright;
using namespace lenswright::test;

TEST_CASE("mapped file: writes stay private") {
  const TempFolder folder;
  const auto path = folder.write("f", "hello");
  const auto map = MappedFile::open(path);
  REQUIRE(map->size() == 5);
  map->data()[0] = std::byte{'J'};
  REQUIRE(text({map->data(), 5}) == "Jello");
  REQUIRE(read_all(path) == "hello");
}

TEST_CASE("mapped file: release gives private pages back and keeps the neighbours") {
  const TempFolder folder;
  const auto map = MappedFile::open(folder.write("f", std::string(3 * 4096, 'a')));
  for (const size_t at : {0, 4096, 8192}) map->data()[at] = std::byte{'b'};
  map->release(100, 8192 + 100);  // only the page in the middle is whole
  REQUIRE(map->data()[0] == std::byte{'b'});
  REQUIRE(map->data()[4096] == std::byte{'a'});
  REQUIRE(map->data()[8192] == std::byte{'b'});
  map->advise(MappedFile::Advice::sequential, 1, 5000);
}

TEST_CASE("mapped file: truncation is noticed before use") {
  const TempFolder folder;
  const auto path = folder.write("f", std::string(100, 'x'));
  const auto map = MappedFile::open(path);
  map->check_unchanged();
  std::filesystem::resize_file(path, 10);
  REQUIRE_THROWS_AS(map->check_unchanged(), CheckpointError);
}

TEST_CASE("mapped file: empty and missing files, folders") {
  const TempFolder folder;
  REQUIRE(MappedFile::open(folder.write("empty", ""))->size() == 0);
  REQUIRE_THROWS_AS(MappedFile::open(folder / "absent"), FileError);
  REQUIRE_THROWS_AS(MappedFile::open(folder.path()), FileError);
}
