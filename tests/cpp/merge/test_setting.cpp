#include "merge/setting.h"

#include "catch.h"

using namespace lenswright;

namespace {

Setting parse(const char* text) { return Setting::parse(Json::parse(text, "recipe")); }

}  // namespace

TEST_CASE("setting: numbers and gradients") {
  REQUIRE(parse("0.5").at("any", 0.3) == 0.5);
  REQUIRE(parse("true").at("any", 0) == 1.0);
  REQUIRE(parse("[0, 1]").at("any", 0.25) == 0.25);
  REQUIRE(parse("[0, 0.5, 0.3, 0.7, 1]").at("any", 0.375).value() == Approx(0.4));
  REQUIRE(parse("[0, 1]").at("any", 1.0) == 1.0);
  REQUIRE(parse("[4]").at("any", 0.7) == 4.0);
}

TEST_CASE("setting: filters") {
  const Setting setting = parse(
      R"([{"filter": "self_attn", "value": [0, 1]}, {"filter": "glob:*.mlp.*", "value": 2},
          {"filter": "regex:lm_.*", "value": 3}])");
  REQUIRE(setting.at("model.layers.1.self_attn.q.weight", 0.5) == 0.5);
  REQUIRE(setting.at("model.layers.1.mlp.up.weight", 0.5) == 2.0);
  REQUIRE(setting.at("lm_head.weight", 0.5) == 3.0);
  REQUIRE_FALSE(setting.at("model.norm.weight", 0.5).has_value());
  REQUIRE(parse(R"([{"filter": "mlp", "value": 1}, {"filter": "*", "value": 5}])").at("x", 0) ==
          5.0);
  REQUIRE(parse(R"([{"filter": "mlp", "value": 1}, {"value": 5}])").at("x", 0) == 5.0);
  REQUIRE(parse(R"({"filter": "x", "value": 7})").at("x", 0) == 7.0);
  REQUIRE(setting.numbers() == std::vector<double>{0, 1, 2, 3});
}

TEST_CASE("setting: what it may not be") {
  for (const char* text :
       {R"("half")", "[]", "null", R"([1, "x"])", R"([{"filter": "x"}])", "[[1, 2]]", "1e999",
        R"([{"fliter": "x", "value": 1}])", R"([{"filter": "regex:(", "value": 1}])",
        R"([{"filter": "glob:[", "value": 1}])", R"([{"value": 1}, 2])"}) {
    CAPTURE(text);
    REQUIRE_THROWS_AS(parse(text), std::invalid_argument);
  }
}
