#include "spec/config_reader.h"

#include <stdexcept>

#include "spec/configs.h"

namespace lenswright::test_config_reader {

using test::json;
using test::says;

TEST_CASE("a config's values come with their defaults, and null counts as absent") {
  const Json config = json(R"({"n": 7, "eps": 0.5, "tied": true, "act": "relu", "gone": null})");
  ConfigReader reader(config);
  REQUIRE(reader.size("n") == 7);
  REQUIRE(reader.size("gone", 3) == 3);
  REQUIRE(reader.size("absent", 4) == 4);
  REQUIRE(reader.number("eps", 1.0) == 0.5);
  REQUIRE(reader.number("n", 1.0) == 7.0);
  REQUIRE(reader.number("absent", 1.0) == 1.0);
  REQUIRE(reader.flag("tied", false));
  REQUIRE(reader.flag("absent", true));
  REQUIRE(reader.text("act", "silu") == "relu");
  REQUIRE(reader.object("absent").is_null());
  REQUIRE(reader.has("act"));
  REQUIRE_FALSE(reader.has("gone"));
  REQUIRE(reader.absent("absent"));
  REQUIRE_FALSE(reader.absent("gone"));  // there, as null
}

TEST_CASE("sizes that are missing, out of range or of another type are refused by key") {
  const Json config = json(
      R"({"zero": 0, "less": -1, "huge": 2147483649, "text": "3", "half": 1.5, "most": 2147483648})");
  ConfigReader reader(config);
  REQUIRE(reader.size("most") == int64_t{1} << 31);
  for (const char* key : {"zero", "less", "huge", "text", "half", "absent"}) {
    CAPTURE(key);
    try {
      reader.size(key);
      FAIL("accepted");
    } catch (const std::invalid_argument& error) {
      REQUIRE(says(error.what(), key));
      REQUIRE(says(error.what(), "config.json"));
    }
  }
  REQUIRE_THROWS_AS(reader.size("zero", 5), std::invalid_argument);
}

TEST_CASE("arithmetic we lack is refused unless it is switched off") {
  const Json config =
      json(R"({"off": false, "none": null, "zero": 0, "on": true, "much": 0.1, "way": "x"})");
  ConfigReader reader(config);
  for (const char* key : {"off", "none", "zero", "absent"})
    REQUIRE_NOTHROW(reader.refuse(key, "no"));
  for (const char* key : {"on", "much", "way"}) {
    CAPTURE(key);
    REQUIRE_THROWS_AS(reader.refuse(key, "it is not known"), std::invalid_argument);
  }
}

TEST_CASE("keys that nobody read are listed, in their order") {
  const Json config = json(R"({"sauce": 1, "n": 2, "dropout": 0.1, "dtype": "float32", "b": []})");
  ConfigReader reader(config);
  reader.size("n");
  reader.harmless({"dropout"});
  REQUIRE(reader.unknown_keys() == std::vector<std::string>{"sauce", "b"});
}

}  // namespace lenswright::test_config_reader
