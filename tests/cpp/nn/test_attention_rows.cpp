#include "nn/attention_rows.h"

#include "nn/attention.h"
#include "tensors.h"

namespace lenswright {
namespace {

struct Heads {
  at::Tensor q, k, v;
};

Heads heads(int64_t batch, int64_t queries, int64_t keys, at::ScalarType type = at::kDouble) {
  return {test::waves({batch, 4, queries, 6}, 1.1, type),
          test::waves({batch, 2, keys, 6}, 1.3, type), test::waves({batch, 2, keys, 6}, 0.7, type)};
}

// What attention of one row and its real places alone gives.
at::Tensor alone(const Heads& h, int64_t row, const RowSpan& s, double scale) {
  const auto cut = [&](const at::Tensor& x, int64_t start, int64_t count) {
    return x.narrow(0, row, 1).narrow(2, start, count).to(at::kDouble).contiguous();
  };
  const at::Tensor k = cut(h.k, s.key, s.keys), v = cut(h.v, s.key, s.keys);
  const at::Tensor mask = causal_mask(s.queries, s.keys, k.options());
  return attention_mix(
      attention_pattern(attention_scores(cut(h.q, s.query, s.queries), k, mask, scale)), v)[0];
}

const RowSpans kPadded = {{0, 7, 0, 7}, {3, 4, 3, 4}, {0, 2, 0, 2}};

}  // namespace

TEST_CASE("attention row by row is attention of each row alone, padding is zero") {
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf}) {
    const Heads h = heads(3, 7, 7, type);
    const at::Tensor z = row_attention(h.q, h.k, h.v, kPadded, 0.9);
    REQUIRE(z.sizes() == h.q.sizes());
    const double limit = type == at::kDouble ? 1e-13 : type == at::kFloat ? 1e-5 : 1e-2;
    for (int64_t row = 0; row < 3; ++row) {
      const RowSpan& s = kPadded[row];
      const at::Tensor real = z[row].narrow(1, s.query, s.queries);
      REQUIRE(test::relative(real, alone(h, row, s, 0.9)) < limit);
      REQUIRE(z[row].count_nonzero().item<int64_t>() == real.count_nonzero().item<int64_t>());
    }
  }
}

TEST_CASE("the three steps give what the one does") {
  const Heads h = heads(3, 7, 7);
  const at::Tensor scores = row_scores(h.q, h.k, kPadded, 0.9);
  const at::Tensor pattern = row_pattern(scores, kPadded);
  const at::Tensor z = row_mix(pattern, h.v, kPadded);
  REQUIRE(test::relative(z, row_attention(h.q, h.k, h.v, kPadded, 0.9)) < 1e-13);
  const at::Tensor sums = pattern[1].narrow(1, 3, 4).sum(-1);
  REQUIRE((sums - 1).abs().max().item<double>() < 1e-14);
  REQUIRE(scores[1].narrow(1, 0, 3).isinf().all().item<bool>());
  REQUIRE(pattern[1].narrow(1, 0, 3).count_nonzero().item<int64_t>() == 0);
}

TEST_CASE("a single query at the end of its keys, as generation has it") {
  const Heads h = heads(2, 1, 9);
  const RowSpans spans = {{0, 1, 0, 9}, {0, 1, 0, 5}};
  const at::Tensor z = row_attention(h.q, h.k, h.v, spans, 0.9);
  for (int64_t row = 0; row < 2; ++row) {
    REQUIRE(test::relative(z[row], alone(h, row, spans[row], 0.9)) < 1e-13);
  }
}

TEST_CASE("a row's bytes are its own, in any company and at any place") {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Heads h = heads(3, 7, 7, type);
    const at::Tensor z = row_attention(h.q, h.k, h.v, kPadded, 0.9);
    for (int64_t row = 0; row < 3; ++row) {
      const RowSpan& s = kPadded[row];
      const auto cut = [&](const at::Tensor& x) {
        return x.narrow(0, row, 1).narrow(2, s.query, s.queries).contiguous();
      };
      const RowSpans one = {{0, s.queries, 0, s.keys}};
      const at::Tensor own = row_attention(cut(h.q), cut(h.k), cut(h.v), one, 0.9);
      REQUIRE(test::same(z[row].narrow(1, s.query, s.queries).contiguous(), own[0].contiguous()));
    }
  }
}

TEST_CASE("gradients go through") {
  Heads h = heads(3, 7, 7);
  h.q.requires_grad_(true);
  row_attention(h.q, h.k, h.v, kPadded, 0.9).square().sum().backward();
  const at::Tensor grad = h.q.grad();
  REQUIRE(grad[1].narrow(1, 0, 3).count_nonzero().item<int64_t>() == 0);
  REQUIRE(grad[1].narrow(1, 4, 3).abs().max().item<double>() > 0);
}

}  // namespace lenswright
