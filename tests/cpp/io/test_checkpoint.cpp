#include "io/checkpoint.h"

#include <sys/stat.h>

#include <stdexcept>

#include "io/files.h"

using namespace lenswright;
using namespace lenswright::test;
namespace fs = std::filesystem;

namespace {

std::string flaw(const fs::path& path) {
  try {
    Checkpoint::open(path);
  } catch (const CheckpointError& error) {
    return flaw_name(error.flaw());
  }
  return "";
}

std::string index(const std::string& places) { return "{\"weight_map\":{" + places + "}}"; }

constexpr const char* kIndex = "model.safetensors.index.json";

void two_shards(const TempFolder& folder) {
  folder.write("1.safetensors", one_tensor("a", "one"));
  folder.write("2.safetensors", one_tensor("b", "two!"));
  folder.write(kIndex, index(R"("a":"1.safetensors","b":"2.safetensors")"));
}

}  // namespace

TEST_CASE("checkpoint: one file in a folder") {
  const TempFolder folder;
  folder.write("model.safetensors", one_tensor("w", "abc"));
  folder.write("config.json", R"({"model_type":"x"})");
  folder.write("tokenizer.json", "{}");
  folder.write(".hidden", "");
  folder.write("training_args.bin", "");
  folder.write("sub/file.txt", "");
  const auto checkpoint = Checkpoint::open(folder.path());
  REQUIRE(checkpoint->names() == std::vector<std::string>{"w"});
  REQUIRE(text(checkpoint->data(checkpoint->info("w"))) == "abc");
  REQUIRE(checkpoint->config().at("model_type").as_string() == "x");
  REQUIRE(checkpoint->other_files() == std::vector<std::string>{"tokenizer.json"});
  REQUIRE(checkpoint->unused_weights() == std::vector<std::string>{"training_args.bin"});
  REQUIRE(checkpoint->header_bytes("model.safetensors").starts_with("{\"w\""));
  REQUIRE_THROWS_AS(checkpoint->info("v"), std::out_of_range);
  REQUIRE_THROWS_AS(checkpoint->header("x"), std::out_of_range);
}

TEST_CASE("checkpoint: a file by its own path, with and without config.json") {
  const TempFolder folder;
  const auto path = folder.write("a.safetensors", one_tensor("w", "abc"));
  folder.write("b.safetensors", one_tensor("v", "abc"));
  REQUIRE(Checkpoint::open(path)->tensors().size() == 1);
  REQUIRE_FALSE(Checkpoint::open(path)->has_config());
  REQUIRE_THROWS_AS(Checkpoint::open(path)->config(), std::invalid_argument);
  folder.write("config.json", "{}");
  REQUIRE(Checkpoint::open(path)->has_config());
  folder.write("config.json", "[]");
  REQUIRE_THROWS_AS(Checkpoint::open(path), std::invalid_argument);
}

TEST_CASE("checkpoint: which files, and when there is no clear choice") {
  const TempFolder folder;
  REQUIRE(flaw(folder.path()) == "layout");  // empty
  folder.write("pytorch_model.bin", "");
  REQUIRE(flaw(folder.path()) == "pickle");
  REQUIRE(flaw(folder / "pytorch_model.bin") == "pickle");
  folder.write("a.safetensors", one_tensor("w", "abc"));
  REQUIRE(Checkpoint::open(folder.path())->shards() == std::vector<std::string>{"a.safetensors"});
  folder.write("b.safetensors", one_tensor("v", "abc"));
  REQUIRE(flaw(folder.path()) == "layout");  // two files, no index
  folder.write("model.safetensors", one_tensor("u", "abc"));
  REQUIRE(Checkpoint::open(folder.path())->contains("u"));
  folder.write(kIndex, index(R"("w":"a.safetensors")"));
  REQUIRE(flaw(folder.path()) == "layout");  // both
  REQUIRE(flaw(folder / kIndex) == "layout");
  fs::remove(folder / "model.safetensors");
  REQUIRE(Checkpoint::open(folder.path())->contains("w"));
  REQUIRE(Checkpoint::open(folder / kIndex)->contains("w"));
  REQUIRE(flaw(folder.write("notes.txt", "")) == "layout");
  REQUIRE_THROWS_AS(Checkpoint::open(folder / "absent"), std::system_error);
}

TEST_CASE("checkpoint: shards and their index agree both ways") {
  const TempFolder folder;
  two_shards(folder);
  const auto checkpoint = Checkpoint::open(folder.path());
  REQUIRE(checkpoint->index_name() == kIndex);
  REQUIRE(checkpoint->names() == std::vector<std::string>{"a", "b"});
  REQUIRE(text(checkpoint->data(checkpoint->info("b"))) == "two!");
  const auto with_index = [&](const std::string& places) {
    folder.write(kIndex, index(places));
    return flaw(folder.path());
  };
  REQUIRE(with_index(R"("a":"1.safetensors")").empty());  // the second file is not part of it
  REQUIRE(with_index(R"("a":"1.safetensors","c":"1.safetensors")") == "index");   // absent
  REQUIRE(with_index(R"("a":"2.safetensors","b":"1.safetensors")") == "index");   // elsewhere
  REQUIRE(with_index(R"("a":"1.safetensors","b":"3.safetensors")") == "layout");  // no such file
  folder.write("2.safetensors", one_tensor("a", "two!"));
  REQUIRE(with_index(R"("a":"1.safetensors","b":"2.safetensors")") == "index");  // a twice
  folder.write("2.safetensors", safetensors(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
      "d":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                            "xy"));
  REQUIRE(with_index(R"("a":"1.safetensors","b":"2.safetensors")") == "index");  // d unindexed
}

TEST_CASE("checkpoint: links stay in the folder") {
  const TempFolder folder, outside;
  const auto secret = outside.write("x.safetensors", one_tensor("w", "abc"));
  fs::create_symlink(secret, folder / "model.safetensors");
  REQUIRE(flaw(folder.path()) == "path");
  REQUIRE(Checkpoint::open(folder / "model.safetensors")->contains("w"));  // named by the user
  fs::remove(folder / "model.safetensors");
  folder.write("real.safetensors", one_tensor("w", "abc"));
  fs::create_symlink("real.safetensors", folder / "model.safetensors");
  REQUIRE(Checkpoint::open(folder.path())->contains("w"));
  fs::create_symlink(outside.write("config.json", "{}"), folder / "config.json");
  REQUIRE(flaw(folder.path()) == "path");
  fs::remove(folder / "config.json");
  fs::create_symlink(outside.write("notes", "secret"), folder / "tokenizer.json");
  REQUIRE_THROWS_AS(Checkpoint::open(folder.path())->other_files(), CheckpointError);
}

TEST_CASE("checkpoint: a snapshot of the hub's cache links into its own blobs") {
  const TempFolder cache;
  const fs::path repository = cache / "models--a--b";
  fs::create_directories(repository / "blobs");
  fs::create_directories(repository / "snapshots" / "c0ffee");
  fs::rename(cache.write("blob", one_tensor("w", "abc")), repository / "blobs" / "1234");
  const fs::path link = repository / "snapshots" / "c0ffee" / "model.safetensors";
  fs::create_symlink("../../blobs/1234", link);
  REQUIRE(Checkpoint::open(link.parent_path())->contains("w"));
  fs::remove(link);
  fs::create_directories(cache / "models--c--d" / "blobs");
  fs::rename(repository / "blobs" / "1234", cache / "models--c--d" / "blobs" / "1234");
  fs::create_symlink("../../../models--c--d/blobs/1234", link);
  REQUIRE(flaw(link.parent_path()) == "path");
  // The store that repositories share: REPO/blobs/ETAG is itself a link.
  fs::create_directories(cache / "blobs" / "ab");
  fs::rename(cache / "models--c--d" / "blobs" / "1234", cache / "blobs" / "ab" / "abcd");
  fs::create_symlink("../../blobs/ab/abcd", repository / "blobs" / "1234");
  fs::remove(link);
  fs::create_symlink("../../blobs/1234", link);
  REQUIRE(flaw(link.parent_path()) == "path");  // no store without its mark
  cache.write("blobs/.huggingface-shared-blobs", "1\n");
  REQUIRE(Checkpoint::open(link.parent_path())->contains("w"));
}

TEST_CASE("checkpoint: special files are no files") {
  const TempFolder folder;
  REQUIRE(mkfifo((folder / "model.safetensors").c_str(), 0600) == 0);
  REQUIRE(flaw(folder.path()) == "layout");
  REQUIRE_THROWS_AS(Checkpoint::open(folder / "model.safetensors"), std::system_error);
}

TEST_CASE("checkpoint: files that change under it are noticed") {
  const TempFolder folder;
  const auto path = folder.write("model.safetensors", one_tensor("w", "abc"));
  const auto before = Checkpoint::open(folder.path());
  const auto mapped = Checkpoint::open(folder.path());
  (void)mapped->data(mapped->info("w"));
  fs::resize_file(path, fs::file_size(path) - 1);
  REQUIRE_THROWS_AS(before->data(before->info("w")), CheckpointError);
  REQUIRE_THROWS_AS(mapped->data(mapped->info("w")), CheckpointError);
  REQUIRE_THROWS_AS(before->header_bytes("model.safetensors"), CheckpointError);
  REQUIRE(flaw(folder.path()) == "truncated");
}

TEST_CASE("checkpoint: unfinished outputs are refused") {
  const TempFolder folder;
  folder.write(".out.partial-12-0a/model.safetensors", one_tensor("w", "abc"));
  REQUIRE(flaw(folder / ".out.partial-12-0a") == "layout");
}

TEST_CASE("checkpoint: lenient reading counts the bytes it let pass") {
  const TempFolder folder;
  folder.write("model.safetensors", one_tensor("w", "abc") + "more");
  REQUIRE(flaw(folder.path()) == "trailing");
  const auto checkpoint = Checkpoint::open(folder.path(), {.lenient = true});
  REQUIRE(checkpoint->trailing_bytes() == 4);
  REQUIRE(text(checkpoint->data(checkpoint->info("w"))) == "abc");
}
