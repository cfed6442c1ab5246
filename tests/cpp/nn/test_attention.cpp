#include "nn/attention.h"

#include <cmath>

#include "tensors.h"

namespace lenswright {
namespace {

struct Case {
  int64_t batch, heads, kv_heads, queries, keys, d_head;
};

// The formula, in loops: every query looks at the keys that `allowed` says.
at::Tensor by_hand(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                   const at::Tensor& allowed, double scale) {
  const int64_t group = q.size(1) / k.size(1), keys = k.size(2), d = q.size(3);
  at::Tensor out = at::zeros_like(q);
  for (int64_t b = 0; b < q.size(0); ++b) {
    for (int64_t h = 0; h < q.size(1); ++h) {
      const at::Tensor mask = allowed[allowed.size(0) == 1 ? 0 : b][0];
      for (int64_t i = 0; i < q.size(2); ++i) {
        std::vector<double> weights(keys, 0.0);
        double total = 0;
        for (int64_t j = 0; j < keys; ++j) {
          if (!mask[i][j].item<bool>()) continue;
          const double dot = (q[b][h][i] * k[b][h / group][j]).sum().item<double>();
          total += weights[j] = std::exp(dot * scale);
        }
        at::Tensor row = at::zeros({d}, at::kDouble);
        for (int64_t j = 0; j < keys; ++j) row += weights[j] / total * v[b][h / group][j];
        out[b][h][i].copy_(row);
      }
    }
  }
  return out;
}

void check(const Case& c, const at::Tensor& mask) {
  const at::Tensor q = test::waves({c.batch, c.heads, c.queries, c.d_head}, 1.1);
  const at::Tensor k = test::waves({c.batch, c.kv_heads, c.keys, c.d_head}, 1.3);
  const at::Tensor v = test::waves({c.batch, c.kv_heads, c.keys, c.d_head}, 0.7);
  const double scale = 1.7;
  const at::Tensor allowed = mask.defined() ? mask : causal_mask(c.queries, c.keys, q.options());
  const at::Tensor expected = by_hand(q, k, v, allowed, scale);
  const at::Tensor scores = attention_scores(q, k, mask, scale);
  const at::Tensor pattern = attention_pattern(scores);
  REQUIRE(test::relative(attention_mix(pattern, v), expected) < 1e-13);
  REQUIRE(test::relative(attention_fused(q, k, v, mask, scale), expected) < 1e-13);
  REQUIRE((pattern.sum(-1) - 1).abs().max().item<double>() < 1e-14);
  REQUIRE(at::equal(scores.isinf(), allowed.logical_not().expand_as(scores)));
  const auto narrow = [](const at::Tensor& x) { return x.to(at::kFloat); };
  REQUIRE(test::relative(attention_fused(narrow(q), narrow(k), narrow(v), mask, scale), expected) <
          1e-5);
}

}  // namespace

TEST_CASE("attention step by step and fused is the formula") {
  check({2, 3, 3, 7, 7, 10}, {});
  check({2, 6, 2, 7, 7, 5}, {});  // grouped
  check({3, 4, 1, 1, 1, 8}, {});
  check({1, 1, 1, 33, 33, 3}, {});
}

TEST_CASE("a single query looks at every key before it") {
  check({2, 4, 2, 1, 9, 6}, {});
  const at::Tensor mask = causal_mask(1, 9, at::kDouble);
  REQUIRE(mask.all().item<bool>());
  check({2, 4, 2, 1, 9, 6}, mask);
}

TEST_CASE("a mask of each row's own is obeyed") {
  at::Tensor mask = causal_mask(6, 6, at::kDouble).expand({2, 1, 6, 6}).clone();
  mask[1][0].narrow(1, 0, 2).fill_(false);  // the second row's first two keys are padding
  mask.logical_or_(at::eye(6, at::kBool));
  check({2, 4, 2, 6, 6, 5}, mask);
}

TEST_CASE("the causal mask ends with the queries' own keys") {
  const at::Tensor mask = causal_mask(2, 4, at::kDouble)[0][0];
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 4; ++j) REQUIRE(mask[i][j].item<bool>() == (j <= i + 2));
  }
}

TEST_CASE("half types take the softmax in float32") {
  const at::Tensor scores = 8 * test::waves({1, 2, 3, 200}, 0.9);
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    const at::Tensor narrow = scores.to(type);
    const at::Tensor expected = at::softmax(narrow.to(at::kDouble), -1).to(type);
    const at::Tensor pattern = attention_pattern(narrow);
    REQUIRE(pattern.scalar_type() == type);
    REQUIRE(test::relative(pattern, expected) < (type == at::kHalf ? 1e-3 : 8e-3));
  }
}

}  // namespace lenswright
