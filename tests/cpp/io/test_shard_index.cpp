#include "io/shard_index.h"

#include "io/files.h"

using namespace lenswright;

namespace {

std::string flaw(std::string_view text) {
  try {
    parse_index(text, "index");
  } catch (const CheckpointError& error) {
    return flaw_name(error.flaw());
  }
  return "";
}

}  // namespace

TEST_CASE("shard index: tensors and their files") {
  const ShardIndex index = parse_index(
      R"({"metadata":{"total_size":1},"weight_map":{"b":"2.safetensors","a":"1.safetensors",
          "c":"2.safetensors"}})",
      "index");
  REQUIRE(index.shards() == std::vector<std::string>{"1.safetensors", "2.safetensors"});
  REQUIRE(index.places.size() == 3);
  REQUIRE(index.places[0].first == "b");
}

TEST_CASE("shard index: what is no table") {
  for (const char* wrong : {"", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{}}",
                            "{\"weight_map\":{\"a\":1}}", "{\"weight_map\":{\"a\":null}}",
                            "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"x.safetensors\"}}"}) {
    CAPTURE(wrong);
    REQUIRE(flaw(wrong) == "index");
  }
}

TEST_CASE("shard index: no name leads out of the folder") {
  for (const char* name :
       {"../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "a\\\\b.safetensors", "..", "",
        ".x.safetensors", "C:x.safetensors", "x.safetensors\\u0000", "\\nx.safetensors", "x.bin",
        "model.safetensors.index.json"}) {
    CAPTURE(name);
    REQUIRE(flaw("{\"weight_map\":{\"a\":\"" + std::string(name) + "\"}}") == "path");
  }
}
