#include "io/json.h"

#include <stdexcept>

#include "catch.h"

using namespace lenswright;

namespace {

std::string problem(std::string_view text, ParseLimits limits = {}) {
  try {
    Json::parse(text, "c.json", limits);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

std::string message(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("json: what is read is written again, in order and digit for digit") {
  for (const char* text :
       {"null", "true", "[]", "{}", "-7", "9223372036854775807", "18446744073709551615", "1e-05",
        "0.10", "1E+2", "1000000000000000019884624838656", "\"\\u0001\\n\\\"\\\\é\"",
        R"({"z":1,"a":[1,2.50,{"b":null}],"m":{}})"}) {
    CAPTURE(text);
    REQUIRE(Json::parse(text, "t").dump() == text);
  }
  REQUIRE(Json::parse(R"({"a": [1, {"b": []}], "c": {}})", "t").dump(2) ==
          "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}");
}

TEST_CASE("json: values and their types") {
  const Json json = Json::parse(R"({"i":3,"d":2.5,"b":true,"s":"x","n":null,"l":[1,2]})", "c.json");
  REQUIRE(json.at("i").as_int() == 3);
  REQUIRE(json.at("i").as_double() == 3.0);
  REQUIRE(json.at("d").as_double() == 2.5);
  REQUIRE(json.at("b").as_bool());
  REQUIRE(json.at("s").as_string() == "x");
  REQUIRE(json.at("n").is_null());
  REQUIRE(json.at("l").at(1).as_int() == 2);
  REQUIRE(json.keys() == std::vector<std::string>{"i", "d", "b", "s", "n", "l"});
  REQUIRE_FALSE(json.at("d").is_integer());
  REQUIRE_FALSE(json.contains("x"));
  REQUIRE_FALSE(json.at("l").contains("x"));
  REQUIRE_THROWS_AS(json.at("l").at(2), std::out_of_range);
}

TEST_CASE("json: errors name file, key, value and what was expected") {
  const Json json = Json::parse(R"({"rope":{"factor":"two"},"layers":[1,true]})", "config.json");
  REQUIRE(message([&] { (void)json.at("rope").at("factor").as_double(); }) ==
          "config.json: rope.factor: expected a number, found string '\"two\"'");
  REQUIRE(message([&] { (void)json.at("layers").at(1).as_int(); }) ==
          "config.json: layers[1]: expected an integer, found boolean 'true'");
  REQUIRE(message([&] { (void)json.at("layer"); }) ==
          "config.json: no key 'layer'; did you mean 'layers'?");
}

TEST_CASE("json: strict") {
  REQUIRE(problem("{\"a\":1,\n \"a\":2}") == "c.json: the key 'a' occurs twice in one object");
  REQUIRE(problem("{\"a\":{\"b\":1,\"\\u0062\":2}}").find("'b' occurs twice") != std::string::npos);
  REQUIRE(problem("{\"a\":\n  nope}").find("line 2, column 4") != std::string::npos);
  REQUIRE(problem("\xEF\xBB\xBF{}").find("byte order mark") != std::string::npos);
  REQUIRE(problem(std::string_view("{}\0x", 4)).find("NUL") != std::string::npos);
  REQUIRE(problem("{\"\xff\":1}").find("UTF-8") != std::string::npos);
  for (const char* wrong :
       {"", " ", "{", "[1,]", "{\"a\":1,}", "01", "+1", "1.", ".5", "NaN", "Infinity", "'a'",
        "// c\n1", "1 2", "\"\t\"", "\"\\ud800\"", "1e999"}) {
    CAPTURE(wrong);
    REQUIRE_FALSE(problem(wrong).empty());
  }
}

TEST_CASE("json: limits") {
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  REQUIRE(problem(nested(64)).empty());
  REQUIRE(problem(nested(65)).find("64 levels") != std::string::npos);
  REQUIRE_FALSE(problem(nested(1'000'000)).empty());
  REQUIRE(problem("[1,2,3]", {.values = 4}).empty());
  REQUIRE(problem("[1,[2],3]", {.values = 4}).find("more than 4 values") != std::string::npos);
  REQUIRE(problem("[1]", {.bytes = 2}).find("longer than 2 bytes") != std::string::npos);
}

TEST_CASE("json: building and changing; copies do not follow") {
  Json json = Json::object();
  json.set("a", 1);
  json.set("b", "x");
  json.set("c", true);
  json.set("d", 0.5);
  json.set("e", 2.0);
  Json list = Json::array();
  list.push_back(nullptr);
  json.set("f", list);
  const Json before = json;
  json.set("a", int64_t{7});
  json.erase("c");
  json.erase("absent");
  REQUIRE(before.dump() == R"({"a":1,"b":"x","c":true,"d":0.5,"e":2.0,"f":[null]})");
  REQUIRE(json.dump() == R"({"a":7,"b":"x","d":0.5,"e":2.0,"f":[null]})");
  REQUIRE_THROWS_AS(list.set("a", 1), std::invalid_argument);
}

TEST_CASE("json: large objects find their keys") {
  Json json = Json::object();
  for (int i = 0; i < 1000; ++i) json.set("key" + std::to_string(i), i);
  json.erase("key500");
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "key" + std::to_string(i);
    REQUIRE(json.contains(key) == (i != 500));
    if (i != 500) REQUIRE(json.at(key).as_int() == i);
  }
}

TEST_CASE("json: equality ignores the order of keys and the spelling of numbers") {
  const auto parse = [](const char* text) { return Json::parse(text, "t"); };
  REQUIRE(parse(R"({"a":1,"b":[1.0]})") == parse(R"({"b":[1],"a":1.0})"));
  REQUIRE_FALSE(parse("[1,2]") == parse("[2,1]"));
  REQUIRE_FALSE(parse("1") == parse("true"));
  REQUIRE_FALSE(parse(R"({"a":1})") == parse(R"({"a":1,"b":1})"));
}
