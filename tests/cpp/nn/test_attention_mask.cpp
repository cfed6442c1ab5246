#include "nn/attention_mask.h"

#include "nn/attention_by_hand.h"

namespace lenswright::test_attention_mask {
namespace {

using test::sees;

at::Tensor counted(int64_t from, int64_t count) {
  return at::arange(from, from + count, at::kLong).unsqueeze(0);
}

const std::vector<AttentionRule> kRules = {
    {1.0, 0.0, 3, 0}, {1.0, 0.0, 1, 0}, {1.0, 0.0, 0, 4}, {1.0, 0.0, 3, 4}, {1.0, 0.0, 5, 2}};

}  // namespace

TEST_CASE("the causal attention mask ends with the queries' own keys") {
  const at::Tensor mask = causal_mask(2, 4, at::kDouble)[0][0];
  REQUIRE(mask.scalar_type() == at::kBool);
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 4; ++j) REQUIRE(mask[i][j].item<bool>() == (j <= i + 2));
  }
  REQUIRE(causal_mask(1, 9, at::kDouble).all().item<bool>());
}

TEST_CASE("attention masks keep to a window, to a chunk and to both") {
  for (const AttentionRule& rule : kRules) {
    const at::Tensor mask = within_sight({}, counted(0, 9), counted(0, 9), rule)[0][0];
    for (int64_t q = 0; q < 9; ++q) {
      for (int64_t k = 0; k < 9; ++k) REQUIRE(mask[q][k].item<bool>() == sees(rule, q, k));
    }
  }
}

TEST_CASE("with a cache, attention masks go by positions") {
  for (const AttentionRule& rule : kRules) {
    // Queries are the last of the keys.
    const at::Tensor mask = within_sight({}, counted(6, 3), counted(0, 9), rule)[0][0];
    for (int64_t q = 0; q < 3; ++q) {
      for (int64_t k = 0; k < 9; ++k) REQUIRE(mask[q][k].item<bool>() == sees(rule, q + 6, k));
    }
    // Rows that have come to different lengths, one query each, over the slots of all.
    const at::Tensor positions = at::tensor({8, 3}, at::kLong).unsqueeze(1);
    const at::Tensor base = counted(0, 9).view({1, 1, 1, 9}) <= positions.view({2, 1, 1, 1});
    const at::Tensor ragged = within_sight(base, positions, counted(0, 9), rule);
    REQUIRE(ragged.sizes() == at::IntArrayRef({2, 1, 1, 9}));
    for (int64_t k = 0; k < 9; ++k) {
      REQUIRE(ragged[0][0][0][k].item<bool>() == sees(rule, 8, k));
      REQUIRE(ragged[1][0][0][k].item<bool>() == sees(rule, 3, k));
    }
  }
}

TEST_CASE("rows padded on the left count their windows from their own first token") {
  // Places of the second row: two of padding, then positions 0 to 4.
  const at::Tensor positions = at::tensor({0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 1, 2, 3, 4}).view({2, 7});
  at::Tensor base = causal_mask(7, 7, at::kDouble).expand({2, 1, 7, 7}).clone();
  base[1][0].narrow(1, 0, 2).fill_(false);
  for (const AttentionRule& rule : kRules) {
    const at::Tensor mask = within_sight(base, positions, positions, rule);
    for (int64_t q = 0; q < 7; ++q) {
      for (int64_t k = 0; k < 7; ++k) {
        REQUIRE(mask[0][0][q][k].item<bool>() == sees(rule, q, k));
        if (q < 2) continue;  // padding
        REQUIRE(mask[1][0][q][k].item<bool>() == (k >= 2 && sees(rule, q - 2, k - 2)));
      }
    }
  }
}

TEST_CASE("attention needs no mask where nothing is cut off") {
  REQUIRE_FALSE(within_sight({}, counted(0, 9), counted(0, 9), {}).defined());
  REQUIRE_FALSE(within_sight({}, counted(0, 9), counted(0, 9), {1.0, 0.0, 9, 0}).defined());
  REQUIRE_FALSE(within_sight({}, counted(0, 9), counted(0, 9), {1.0, 0.0, 0, 9}).defined());
  REQUIRE_FALSE(within_sight({}, counted(9, 9), counted(9, 9), {1.0, 0.0, 0, 9}).defined());
  REQUIRE(within_sight({}, counted(5, 9), counted(5, 9), {1.0, 0.0, 0, 9}).defined());
  const at::Tensor own = causal_mask(9, 9, at::kDouble);
  const at::Tensor kept = within_sight(own, counted(0, 9), counted(0, 9), {1.0, 0.0, 20, 0});
  REQUIRE(test::same(kept, own));
}

TEST_CASE("attention with linear biases adds slope times distance, from 0 or from the end") {
  const std::vector<double> slopes = {0.5, 0.25, 0.125};
  const at::Tensor keys = at::tensor({0, 1, 2, 3, 0, 0, 1, 2}).view({2, 4});
  const at::Tensor end = at::tensor({3, 2}, at::kLong);
  for (const auto type : {at::kDouble, at::kFloat}) {
    const at::Tensor given = at::tensor(slopes, at::kDouble).to(type);
    const at::Tensor plain = alibi_bias(given, keys, {}), last = alibi_bias(given, keys, end);
    REQUIRE(plain.scalar_type() == type);
    REQUIRE(plain.sizes() == at::IntArrayRef({2, 3, 1, 4}));
    for (int64_t row = 0; row < 2; ++row) {
      for (int64_t head = 0; head < 3; ++head) {
        for (int64_t k = 0; k < 4; ++k) {
          const double place = static_cast<double>(keys[row][k].item<int64_t>());
          const double from = row == 0 ? 3 : 2;
          REQUIRE(plain[row][head][0][k].item<double>() == slopes[head] * place);
          REQUIRE(last[row][head][0][k].item<double>() == slopes[head] * (place - from));
        }
      }
    }
  }
  // Keys that all rows share, as a cache has them, each row ending where it does.
  const at::Tensor shared = alibi_bias(at::tensor(slopes, at::kDouble), counted(0, 4), end);
  REQUIRE(shared.sizes() == at::IntArrayRef({2, 3, 1, 4}));
  REQUIRE(shared[1][0][0][0].item<double>() == -1.0);
}

}  // namespace lenswright::test_attention_mask
