#include "io/writer.h"

#include <stdexcept>

#include "base/error.h"
#include "io/checkpoint.h"
#include "io/files.h"

using namespace lenswright;
using namespace lenswright::test;
namespace fs = std::filesystem;

namespace {

const std::vector<TensorSpec> kA = {{"a", Dtype::u8, {3}}};
const std::vector<TensorSpec> kB = {{"b", Dtype::u8, {3}}};

size_t entries(const TempFolder& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder.path()), {}));
}

std::string refusal(const fs::path& target, const std::vector<fs::path>& inputs = {}) {
  try {
    FolderWriter writer(target, inputs);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("folder writer: a sharded checkpoint appears whole") {
  const TempFolder folder;
  {
    FolderWriter writer(folder / "out");
    FileWriter& first = writer.shard("model-1.safetensors", kA, {{"format", "pt"}});
    FileWriter& second = writer.shard("model-2.safetensors", kB, {});
    first.pwrite("a", 0, bytes("abc"));
    second.pwrite("b", 0, bytes("def"));
    writer.write_index();
    writer.write_text("config.json", "{}");
    writer.copy_file(folder.write("in/tokenizer.json", "tokens"));
    writer.copy_file(folder / "in" / "tokenizer.json", "copy.json");
    REQUIRE_FALSE(fs::exists(folder / "out"));
    writer.commit();
    REQUIRE_THROWS_AS(writer.commit(), std::invalid_argument);
  }
  REQUIRE(entries(folder) == 2);  // in and out
  const auto checkpoint = Checkpoint::open(folder / "out");
  REQUIRE(checkpoint->names() == std::vector<std::string>{"a", "b"});
  REQUIRE(text(checkpoint->data(checkpoint->info("b"))) == "def");
  REQUIRE(read_all(folder / "out" / "tokenizer.json") == "tokens");
  REQUIRE(checkpoint->other_files() == std::vector<std::string>{"copy.json", "tokenizer.json"});
  REQUIRE(read_all(folder / "out" / "model.safetensors.index.json") ==
          "{\n  \"metadata\": {\n    \"total_size\": 6\n  },\n  \"weight_map\": {\n"
          "    \"a\": \"model-1.safetensors\",\n    \"b\": \"model-2.safetensors\"\n  }\n}\n");
}

TEST_CASE("folder writer: nothing is left without commit") {
  const TempFolder folder;
  {
    FolderWriter writer(folder / "out");
    writer.shard("model.safetensors", kA, {}).pwrite("a", 0, bytes("ab"));
    writer.write_text("config.json", "{}");
    REQUIRE_THROWS_AS(writer.commit(), std::logic_error);  // a byte is missing
  }
  REQUIRE(entries(folder) == 0);
}

TEST_CASE("folder writer: an unfinished folder loads nowhere") {
  const TempFolder folder;
  FolderWriter writer(folder / "out");
  writer.shard("model.safetensors", kA, {}).pwrite("a", 0, bytes("abc"));
  writer.write_text("config.json", "{}");
  const fs::path partial = fs::directory_iterator(folder.path())->path();
  REQUIRE(partial.filename().string().starts_with(".out.partial-"));
  REQUIRE_FALSE(fs::exists(partial / "model.safetensors"));
  REQUIRE_THROWS_AS(Checkpoint::open(partial), CheckpointError);
  fs::rename(partial, folder / "renamed");
  REQUIRE_THROWS_AS(Checkpoint::open(folder / "renamed"), CheckpointError);
}

TEST_CASE("folder writer: outputs are never inputs, and never replace anything") {
  const TempFolder folder;
  folder.write("in/sub/x", "");
  const std::vector<fs::path> in = {folder / "in"};
  REQUIRE(refusal(folder / "in", in).find("is the input") != std::string::npos);
  REQUIRE(refusal(folder / "in/", in).find("is the input") != std::string::npos);
  REQUIRE(refusal(folder / "in/out", in).find("lies inside") != std::string::npos);
  REQUIRE(refusal(folder / "in/sub/../../in/y", in).find("lies inside") != std::string::npos);
  REQUIRE(refusal(folder.path(), in).find("contains the input") != std::string::npos);
  fs::create_symlink(folder / "in", folder / "link");
  REQUIRE(refusal(folder / "link/out", in).find("lies inside") != std::string::npos);
  REQUIRE(refusal(folder / "out", {folder / "link"}).empty());
  REQUIRE(refusal(folder / "inside", in).empty());  // a longer name is another folder
  fs::create_directory(folder / "old");
  REQUIRE(refusal(folder / "old").find("output folder exists") != std::string::npos);
  REQUIRE(refusal(folder / "no/out").find("no folder to put the output in") != std::string::npos);
  FolderWriter writer(folder / "out");
  writer.write_text("config.json", "{}");
  fs::create_directory(folder / "out");
  REQUIRE_THROWS_AS(writer.commit(), FileError);
  REQUIRE(fs::is_empty(folder / "out"));
}

TEST_CASE("folder writer: names") {
  const TempFolder folder;
  FolderWriter writer(folder / "out");
  for (const char* wrong : {"../x", "a/b", "", ".x", "..", "/x"}) {
    CAPTURE(wrong);
    REQUIRE_THROWS_AS(writer.write_text(wrong, ""), std::invalid_argument);
  }
  REQUIRE_THROWS_AS(writer.shard("model.bin", kA, {}), std::invalid_argument);
  writer.write_text("x", "");
  REQUIRE_THROWS_AS(writer.write_text("x", ""), std::invalid_argument);
  writer.shard("1.safetensors", kA, {});
  writer.shard("2.safetensors", kA, {});
  REQUIRE_THROWS_AS(writer.write_index(), std::invalid_argument);  // a in two shards
}

TEST_CASE("folder writer: one with a key is gone on with") {
  const TempFolder room;
  const std::vector<TensorSpec> specs = {{"a", Dtype::u8, {4}}, {"b", Dtype::u8, {4}}};
  const auto hidden = room / ".out.partial-key";
  {
    FolderWriter out(room / "out", {}, "key", true);
    out.write_text("config.json", "{}");
    out.shard("model.safetensors", specs, {}).pwrite("a", 0, bytes("aaaa"));
    REQUIRE_THROWS_AS(FolderWriter(room / "out", {}, "key", true), FileError);  // at work
  }
  REQUIRE(std::filesystem::exists(hidden / "model.safetensors.partial"));
  {
    FolderWriter out(room / "out", {}, "key", true);
    REQUIRE_FALSE(std::filesystem::exists(hidden / "config.json"));
    FileWriter& shard = out.shard("model.safetensors", specs, {});
    std::vector<std::byte> there(4);
    REQUIRE(shard.read("a", 0, there));
    REQUIRE(text(there) == "aaaa");
    shard.adopt("a");
    shard.pwrite("b", 0, bytes("bbbb"));
    std::ofstream(out.aside("journal.partial")) << "1";
    out.commit();
  }
  REQUIRE_FALSE(std::filesystem::exists(hidden));
  REQUIRE(read_all(room / "out" / "model.safetensors").ends_with("aaaabbbb"));
  REQUIRE_FALSE(std::filesystem::exists(room / "out" / "journal.partial"));
}

TEST_CASE("folder writer: without resume, or with another header, it begins anew") {
  const TempFolder room;
  const std::vector<TensorSpec> specs = {{"a", Dtype::u8, {4}}}, others = {{"b", Dtype::u8, {4}}};
  const auto leave = [&] {
    FolderWriter out(room / "out", {}, "key", true);
    out.shard("model.safetensors", specs, {}).pwrite("a", 0, bytes("aaaa"));
  };
  std::vector<std::byte> there(4);
  leave();
  {
    FolderWriter out(room / "out", {}, "key", true);
    REQUIRE(out.shard("model.safetensors", others, {}).read("b", 0, there));
    REQUIRE(text(there) == std::string(4, '\0'));
  }
  leave();
  {
    FolderWriter out(room / "out", {}, "key", false);
    REQUIRE(out.shard("model.safetensors", specs, {}).read("a", 0, there));
    REQUIRE(text(there) == std::string(4, '\0'));
  }
  REQUIRE(std::filesystem::is_empty(room.path()));
}
