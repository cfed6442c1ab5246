#include "nn/attention_rows.h"

#include "nn/attention_by_hand.h"

namespace lenswright::test_attention_rows {
namespace {

using test::Attended;
using test::ByHand;
using test::relative;
using test::Told;

struct Heads {
  at::Tensor q, k, v;
};

Heads heads(int64_t batch, int64_t queries, int64_t keys, at::ScalarType type = at::kDouble,
            int64_t d_value = 6) {
  return {test::waves({batch, 4, queries, 6}, 1.1, type),
          test::waves({batch, 2, keys, 6}, 1.3, type),
          test::waves({batch, 2, keys, d_value}, 0.7, type)};
}

// A row whole, one padded on the left, one on the right.
const RowSpans kPadded = {{0, 7, 0, 7}, {3, 4, 3, 4}, {0, 2, 0, 2}};

// Only the places that are real.
at::Tensor real(const at::Tensor& z, const RowSpans& spans) {
  std::vector<at::Tensor> parts;
  for (size_t row = 0; row < spans.size(); ++row) {
    const RowSpan& s = spans[row];
    parts.push_back(z[static_cast<int64_t>(row)].narrow(1, s.query, s.queries).flatten());
  }
  return at::cat(parts);
}

}  // namespace

TEST_CASE("attention row by row is the formula under every rule, padding is zero") {
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf}) {
    const double limit = type == at::kDouble ? 1e-13 : type == at::kFloat ? 1e-5 : 1e-2;
    for (int64_t d_value : {6, 9}) {
      const Heads h = heads(3, 7, 7, type, d_value);
      for (const Told& told : test::told_in_turn(4)) {
        const AttentionSetting set = test::setting(told, kPadded, 7, 7, type);
        const at::Tensor z = row_attention(h.q, h.k, h.v, kPadded, set);
        REQUIRE(z.sizes() == at::IntArrayRef({3, 4, 7, d_value}));
        REQUIRE(z.scalar_type() == type);
        REQUIRE(relative(z, ByHand(h.q, h.k, h.v, told).of(kPadded).z) < limit);
        const int64_t filled = real(z, kPadded).count_nonzero().item<int64_t>();
        REQUIRE(z.count_nonzero().item<int64_t>() == filled);
      }
    }
  }
}

TEST_CASE("attention row by row is that of the whole batch, and of its three steps") {
  const Heads h = heads(3, 7, 7);
  for (const Told& told : test::told_in_turn(4)) {
    const AttentionSetting set = test::setting(told, kPadded, 7, 7);
    const at::Tensor rows = real(row_attention(h.q, h.k, h.v, kPadded, set), kPadded);
    REQUIRE(relative(real(attention_fused(h.q, h.k, h.v, set), kPadded), rows) < 1e-13);
    const at::Tensor scores = row_scores(h.q, h.k, kPadded, set);
    const at::Tensor pattern = row_pattern(scores, kPadded, set.sinks);
    REQUIRE(relative(real(row_mix(pattern, h.v, kPadded), kPadded), rows) < 1e-13);
    const Attended expected = ByHand(h.q, h.k, h.v, told).of(kPadded);
    REQUIRE(test::scores_apart(scores, expected.scores) < 1e-13);
    REQUIRE(relative(pattern, expected.pattern) < 1e-13);
    REQUIRE(scores[1].narrow(1, 0, 3).isinf().all().item<bool>());
    REQUIRE(pattern[1].narrow(1, 0, 3).count_nonzero().item<int64_t>() == 0);
  }
}

TEST_CASE("queries at the end of their keys attend as generation has it, one or several") {
  for (int64_t queries : {1, 3}) {
    const Heads h = heads(2, queries, 9);
    const RowSpans spans = {{0, queries, 0, 9}, {0, queries, 0, 5}};
    for (const Told& told : test::told_in_turn(4)) {
      const AttentionSetting set = test::setting(told, spans, queries, 9);
      const at::Tensor expected = ByHand(h.q, h.k, h.v, told).of(spans).z;
      REQUIRE(relative(row_attention(h.q, h.k, h.v, spans, set), expected) < 1e-13);
      REQUIRE(relative(attention_fused(h.q, h.k, h.v, set), expected) < 1e-13);
    }
  }
}

TEST_CASE("a row's attention is its own to the byte, in any company and at any place") {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Heads h = heads(3, 7, 7, type);
    for (const Told& told : test::told_in_turn(4)) {
      const AttentionSetting set = test::setting(told, kPadded, 7, 7, type);
      const at::Tensor z = row_attention(h.q, h.k, h.v, kPadded, set);
      for (int64_t row = 0; row < 3; ++row) {
        const RowSpan& s = kPadded[row];
        const auto cut = [&](const at::Tensor& x) {
          return x.narrow(0, row, 1).narrow(2, s.query, s.queries).contiguous();
        };
        const RowSpans one = {{0, s.queries, 0, s.keys}};
        const AttentionSetting alone = test::setting(told, one, s.queries, s.keys, type);
        const at::Tensor own = row_attention(cut(h.q), cut(h.k), cut(h.v), one, alone);
        REQUIRE(test::same(z[row].narrow(1, s.query, s.queries).contiguous(), own[0].contiguous()));
      }
    }
  }
}

TEST_CASE("gradients go through attention row by row, to the sinks too") {
  const Told told = test::told_in_turn(4).back();
  Heads h = heads(3, 7, 7);
  AttentionSetting set = test::setting(told, kPadded, 7, 7);
  h.q.requires_grad_(true);
  row_attention(h.q, h.k, h.v, kPadded, set).square().sum().backward();
  const at::Tensor grad = h.q.grad();
  REQUIRE(grad[1].narrow(1, 0, 3).count_nonzero().item<int64_t>() == 0);
  REQUIRE(grad[1].narrow(1, 4, 3).abs().max().item<double>() > 0);

  h = heads(3, 7, 7);  // the sinks alone want one
  set.sinks = set.sinks.clone().requires_grad_(true);
  row_attention(h.q, h.k, h.v, kPadded, set).square().sum().backward();
  const at::Tensor by_row = set.sinks.grad().clone();
  set.sinks.mutable_grad() = at::Tensor();
  real(attention_fused(h.q, h.k, h.v, set), kPadded).square().sum().backward();
  REQUIRE(relative(by_row, set.sinks.grad()) < 1e-12);
}

}  // namespace lenswright::test_attention_rows
