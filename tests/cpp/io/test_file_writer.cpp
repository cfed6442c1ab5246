#include "io/file_writer.h"

#include <stdexcept>

#include "base/error.h"
#include "base/parallel.h"
#include "io/checkpoint.h"
#include "io/files.h"

using namespace lenswright;
using namespace lenswright::test;
namespace fs = std::filesystem;

namespace {

size_t entries(const TempFolder& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder.path()), {}));
}

}  // namespace

TEST_CASE("header: spelt as the reference writer does") {
  const std::vector<TensorSpec> specs = {{"a\"\n", Dtype::f32, {2, 3}}, {"b", Dtype::bf16, {}}};
  const std::string header = make_header(specs, {{"format", "pt"}});
  REQUIRE(header.starts_with(
      R"({"__metadata__":{"format":"pt"},"a\"\n":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]}})"));
  REQUIRE(header.size() % 8 == 0);
  REQUIRE(make_header({}, {}) == "{}      ");
}

TEST_CASE("file writer: pieces in any order from several threads") {
  const TempFolder folder;
  const std::vector<TensorSpec> specs = {
      {"a", Dtype::u8, {1000}}, {"b", Dtype::f32, {0}}, {"c", Dtype::i16, {250}}};
  FileWriter writer(folder / "x.safetensors", specs, {{"k", "v"}});
  REQUIRE_FALSE(fs::exists(folder / "x.safetensors"));
  parallel_for(15, 4, [&](int64_t i) {
    const auto at = static_cast<uint64_t>(14 - i) * 100;  // backwards
    const std::string piece(100, static_cast<char>('a' + 14 - i));
    if (at < 1000) {
      writer.pwrite("a", at, bytes(piece));
    } else {
      writer.pwrite("c", at - 1000, bytes(piece));
    }
  });
  writer.finish();
  REQUIRE(entries(folder) == 1);
  const auto checkpoint = Checkpoint::open(folder / "x.safetensors");
  std::string expected;
  for (int i = 0; i < 10; ++i) expected += std::string(100, static_cast<char>('a' + i));
  REQUIRE(text(checkpoint->data(checkpoint->info("a"))) == expected);
  REQUIRE(checkpoint->header("x.safetensors").metadata == Metadata{{"k", "v"}});
}

TEST_CASE("file writer: every byte once") {
  const TempFolder folder;
  const std::vector<TensorSpec> specs = {{"a", Dtype::u8, {10}}};
  FileWriter writer(folder / "x.safetensors", specs, {});
  writer.pwrite("a", 2, bytes("xyz"));
  REQUIRE_THROWS_AS(writer.pwrite("a", 4, bytes("x")), std::invalid_argument);
  REQUIRE_THROWS_AS(writer.pwrite("a", 0, bytes("xyz")), std::invalid_argument);
  REQUIRE_THROWS_AS(writer.pwrite("a", 8, bytes("xyz")), std::invalid_argument);
  REQUIRE_THROWS_AS(writer.pwrite("a", UINT64_MAX, bytes("xyz")), std::invalid_argument);
  REQUIRE_THROWS_AS(writer.pwrite("b", 0, bytes("x")), std::invalid_argument);
  REQUIRE_THROWS_AS(writer.finish(), std::logic_error);
  writer.pwrite("a", 0, bytes("uv"));
  writer.pwrite("a", 5, bytes("vwxyz"));
  writer.finish();
  REQUIRE(read_all(folder / "x.safetensors").ends_with("uvxyzvwxyz"));
  REQUIRE_THROWS_AS(writer.pwrite("a", 0, bytes("x")), std::invalid_argument);
}

TEST_CASE("file writer: nothing is left without finish, nothing is replaced") {
  const TempFolder folder;
  const std::vector<TensorSpec> specs = {{"a", Dtype::u8, {1}}};
  { FileWriter writer(folder / "x.safetensors", specs, {}); }
  REQUIRE(entries(folder) == 0);
  FileWriter writer(folder / "x.safetensors", specs, {});
  writer.pwrite("a", 0, bytes("x"));
  folder.write("x.safetensors", "mine");
  REQUIRE_THROWS_AS(writer.finish(), FileError);
  REQUIRE(read_all(folder / "x.safetensors") == "mine");
  REQUIRE_THROWS_AS(FileWriter(folder / "x.safetensors", specs, {}), FileError);
  REQUIRE_THROWS_AS(FileWriter(folder / "no" / "x.safetensors", specs, {}), FileError);
}

TEST_CASE("file writer: tensors that cannot be") {
  const TempFolder folder;
  const auto make = [&](const std::vector<TensorSpec>& specs) {
    FileWriter(folder / "x.safetensors", specs, {});
  };
  REQUIRE_THROWS_AS(make({{"a", Dtype::f32, {-1}}}), std::invalid_argument);
  REQUIRE_THROWS_AS(make({{"a", Dtype::f4, {3}}}), std::invalid_argument);
  REQUIRE_THROWS_AS(make({{"a", Dtype::f32, {INT64_MAX}}}), std::invalid_argument);
  REQUIRE_THROWS_AS(make({{"a", Dtype::u8, {1}}, {"a", Dtype::u8, {1}}}), CheckpointError);
  REQUIRE_THROWS_AS(make({{"__metadata__", Dtype::u8, {1}}}), CheckpointError);
  REQUIRE_THROWS_AS(make({{"\xff", Dtype::u8, {1}}}), CheckpointError);
  REQUIRE_THROWS_AS(make({{"a", Dtype::u8, {int64_t{1} << 60}}}), FileError);  // no such disk
  REQUIRE(entries(folder) == 0);
}

TEST_CASE("file writer: a foreign header comes back byte for byte") {
  const TempFolder folder;
  const std::string file = safetensors(
      " {\"b\" : {\"shape\":[1], \"dtype\":\"U8\", \"data_offsets\":[2,3]}, \"\\u0061\":\n"
      "{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}   ",
      "xyz");
  const auto source = Checkpoint::open(folder.write("in.safetensors", file));
  FileWriter writer(folder / "out.safetensors", source->header_bytes("in.safetensors"));
  const OpenFile in = source->open_shard("in.safetensors");
  Progress progress;
  for (const TensorInfo& t : source->tensors()) {
    writer.copy(t.name, in.get(), t.begin, t.bytes(), &progress);
  }
  REQUIRE(progress.done() == 3);
  REQUIRE_THROWS_AS(writer.copy("a", in.get(), 0, 1), std::invalid_argument);
  writer.finish();
  REQUIRE(read_all(folder / "out.safetensors") == file);
}

TEST_CASE("the reference's order: wide types first, then names") {
  std::vector<TensorSpec> specs = {
      {"b", Dtype::u8, {}}, {"a", Dtype::u8, {}}, {"c", Dtype::f32, {}}};
  sort_as_reference(specs);
  REQUIRE((specs[0].name == "c" && specs[1].name == "a" && specs[2].name == "b"));
}
