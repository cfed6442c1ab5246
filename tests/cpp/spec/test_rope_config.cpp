#include "spec/families/rope.h"

#include <cmath>

#include "spec/configs.h"

namespace lenswright::test_rope_config {
namespace {

using namespace test;  // NOLINT: tests only

constexpr int64_t kHead = 10, kContext = 64;

Rope rope(const std::string& text, const RopeDefaults& defaults = {}) {
  const Json config = json(text);
  ConfigReader reader(config);
  const Rope found = read_rope(reader, kHead, kContext, defaults);
  REQUIRE(reader.unknown_keys().empty());
  return found;
}

std::string refused(const std::string& text) {
  try {
    rope(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  FAIL("accepted: " << text);
  return "";
}

}  // namespace

TEST_CASE("ropes are read as transformers 4 and 5 write them") {
  REQUIRE(rope("{}").theta == 10000.0);
  REQUIRE(rope("{}").dim == kHead);
  REQUIRE(rope("{}", {.theta = 5e5}).theta == 5e5);
  REQUIRE(rope(R"({"rope_theta": 77.0})").theta == 77.0);
  const Rope five = rope(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}})");
  REQUIRE(five.theta == 77.0);
  REQUIRE(five.scaling == RopeScaling::plain);
  const Rope four = rope(
      R"({"rope_theta": 77.0, "rope_scaling": {"type": "linear", "factor": 3.0},
          "rope_parameters": {"rope_type": "dynamic", "rope_theta": 78.0, "factor": 2.0}})");
  REQUIRE(four.theta == 77.0);
  REQUIRE(four.scaling == RopeScaling::linear);
  REQUIRE(four.factor == 3.0);
}

TEST_CASE("every scaling of a rope is read with its numbers") {
  const Rope dynamic = rope(R"({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}})");
  REQUIRE(dynamic.scaling == RopeScaling::dynamic);
  REQUIRE(dynamic.original_ctx == kContext);

  const Rope llama3 = rope(
      R"({"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 16}})");
  REQUIRE(llama3.scaling == RopeScaling::llama3);
  REQUIRE(llama3.factor == 8.0);
  REQUIRE(llama3.high_freq_factor == 4.0);
  REQUIRE(llama3.original_ctx == 16);
  REQUIRE(llama3.attention_factor == 1.0);

  const Rope longrope = rope(
      R"({"rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 1, 2],
          "long_factor": [1, 2, 3, 4, 5.5]}, "original_max_position_embeddings": 16})");
  REQUIRE(longrope.scaling == RopeScaling::longrope);
  REQUIRE(longrope.long_factors == std::vector<double>{1, 2, 3, 4, 5.5});
  REQUIRE(longrope.original_ctx == 16);
  REQUIRE(longrope.attention_factor == Approx(std::sqrt(1 + std::log(4.0) / std::log(16.0))));
}

TEST_CASE("a yarn rope's attention factor is given, follows from mscale or from the factor") {
  const auto yarn = [](const std::string& more) {
    return rope(R"({"rope_scaling": {"rope_type": "yarn", "factor": 32.0,
        "original_max_position_embeddings": 16)" +
                more + "}}");
  };
  const double log = std::log(32.0);
  REQUIRE(yarn("").scaling == RopeScaling::yarn);
  REQUIRE(yarn("").attention_factor == Approx(0.1 * log + 1));
  REQUIRE(yarn("").beta_fast == 32.0);
  REQUIRE(yarn("").truncate);
  REQUIRE_FALSE(yarn(R"(, "truncate": false)").truncate);
  REQUIRE(yarn(R"(, "attention_factor": 1.25)").attention_factor == 1.25);
  REQUIRE(yarn(R"(, "mscale": 0.7, "mscale_all_dim": 0.7)").attention_factor == 1.0);
  REQUIRE(yarn(R"(, "mscale": 1.0, "mscale_all_dim": 0.5)").attention_factor ==
          Approx((0.1 * log + 1) / (0.05 * log + 1)));
  const Rope by_lengths =
      rope(R"({"rope_scaling": {"rope_type": "yarn", "original_max_position_embeddings": 16}})");
  REQUIRE(by_lengths.factor == 4.0);
}

TEST_CASE("a rope may turn a part of each head where the family's may") {
  const std::string half = R"({"partial_rotary_factor": 0.6})";
  REQUIRE(rope(half, {.may_be_partial = true}).dim == 6);
  REQUIRE(rope("{}", {.partial = 0.4, .may_be_partial = true}).dim == 4);
  REQUIRE(says(refused(half), "partial_rotary_factor"));
  REQUIRE(rope(R"({"partial_rotary_factor": 1.0})").dim == kHead);
}

TEST_CASE("ropes that cannot be computed are refused by key") {
  const auto scaling = [](const std::string& text) {
    return refused(R"({"rope_scaling": )" + text + "}");
  };
  const std::string unknown = scaling(R"({"rope_type": "yarm", "factor": 2.0})");
  REQUIRE(says(unknown, "rope_scaling.rope_type"));
  REQUIRE(says(unknown, "did you mean 'yarn'?"));
  REQUIRE(says(scaling(R"({"rope_type": "linear"})"), "rope_scaling.factor"));
  REQUIRE(says(scaling(R"({"rope_type": "llama3", "factor": 8.0})"), "low_freq_factor"));
  REQUIRE(says(scaling(R"({"rope_type": "linear", "factor": 0.0})"), "rope_scaling.factor"));
  REQUIRE(says(scaling(R"({"rope_type": "linear", "factor": 2.0, "facto": 3})"), "facto"));
  REQUIRE(says(scaling(R"({"rope_type": "longrope", "short_factor": [1, 2],
                           "long_factor": [1, 2]})"),
               "rope_scaling.short_factor"));
  REQUIRE(says(refused(R"({"rope_theta": -1.0})"), "rope_theta"));
}

TEST_CASE("ropes by layer type are two, of full attention and of layers that slide") {
  const auto ropes = [](const std::string& text) {
    const Json config = json(text);
    ConfigReader reader(config);
    return ropes_by_layer_type(reader, kHead, kContext, {.theta = 1e6}, {.theta = 33.0});
  };
  const auto newer = ropes(
      R"({"rope_parameters": {"full_attention": {"rope_type": "linear", "rope_theta": 5e5,
          "factor": 8.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}})");
  REQUIRE(newer.size() == 2);
  REQUIRE(newer[0].theta == 5e5);
  REQUIRE(newer[0].factor == 8.0);
  REQUIRE(newer[1].theta == 1e4);
  REQUIRE(newer[1].scaling == RopeScaling::plain);
  const auto older = ropes(R"({"rope_scaling": {"rope_type": "linear", "factor": 4.0}})");
  REQUIRE(older[0].theta == 1e6);
  REQUIRE(older[0].factor == 4.0);
  REQUIRE(older[1].theta == 33.0);
  REQUIRE(older[1].scaling == RopeScaling::plain);
  REQUIRE_THROWS_AS(ropes(R"({"rope_parameters": {"rope_type": "default"}})"),
                    std::invalid_argument);
}

}  // namespace lenswright::test_rope_config
