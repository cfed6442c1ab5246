#include "edits/config_text.h"

#include <stdexcept>

#include "catch.h"

namespace lenswright::test_config_text {
namespace {

std::string untied(const std::string& text) {
  return with_flag(text, "tie_word_embeddings", false, "config.json");
}

}  // namespace

TEST_CASE("a flag is set where it stands and nothing else moves") {
  REQUIRE(untied("{\"a\": 1e-05, \"tie_word_embeddings\": true}") ==
          "{\"a\": 1e-05, \"tie_word_embeddings\": false}");
  REQUIRE(untied("{\n \"tie_word_embeddings\" :true,\n\"b\":[ 1 ]\n}\n") ==
          "{\n \"tie_word_embeddings\" :false,\n\"b\":[ 1 ]\n}\n");
  REQUIRE(untied("{\"tie_word_embeddings\": null}") == "{\"tie_word_embeddings\": false}");
}

TEST_CASE("a flag that is absent is put last, indented like the first") {
  REQUIRE(untied("{\n  \"a\": 1\n}\n") == "{\n  \"a\": 1,\n  \"tie_word_embeddings\": false\n}\n");
  REQUIRE(untied("{}") == "{\"tie_word_embeddings\": false}");
  REQUIRE(untied("{\"a\":{}}") == "{\"a\":{},\"tie_word_embeddings\": false}");
}

TEST_CASE("keys of inner objects, values and escapes are no keys") {
  const std::string inner =
      R"({"text": {"tie_word_embeddings": true}, "x\"": ["tie_word_embeddings"], "y": "tie_word_embeddings"})";
  const std::string result = untied(inner);
  REQUIRE(result == inner.substr(0, inner.size() - 1) + ",\"tie_word_embeddings\": false}");
}

TEST_CASE("a flag of an inner object is set there and nowhere else") {
  const auto inner = [](const std::string& text) {
    return with_flag_in(text, "text", "tie", false, "config.json");
  };
  REQUIRE(inner(R"({"tie": true, "text": {"a": ["}", {"tie": true}], "tie": true }, "b": {}})") ==
          R"({"tie": true, "text": {"a": ["}", {"tie": true}], "tie": false }, "b": {}})");
  REQUIRE(inner("{\n  \"text\": {\n    \"a\": 1\n  }\n}\n") ==
          "{\n  \"text\": {\n    \"a\": 1,\n    \"tie\": false\n  }\n}\n");
  REQUIRE_THROWS_AS(inner(R"({"text": {"tie": 3}})"), std::invalid_argument);
}

TEST_CASE("a value that is no flag is refused") {
  REQUIRE_THROWS_AS(untied("{\"tie_word_embeddings\": 3}"), std::invalid_argument);
  REQUIRE_THROWS_AS(untied("{\"a\": }"), std::invalid_argument);
}

}  // namespace lenswright::test_config_text
