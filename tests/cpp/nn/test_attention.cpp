#include "nn/attention.h"

#include "nn/attention_by_hand.h"

namespace lenswright::test_attention {
namespace {

using test::Attended;
using test::ByHand;
using test::relative;
using test::Told;

struct Case {
  int64_t batch, heads, kv_heads, queries, keys, d_head, d_value;
};

struct Heads {
  at::Tensor q, k, v;
};

Heads heads(const Case& c) {
  return {test::waves({c.batch, c.heads, c.queries, c.d_head}, 1.1),
          test::waves({c.batch, c.kv_heads, c.keys, c.d_head}, 1.3),
          test::waves({c.batch, c.kv_heads, c.keys, c.d_value}, 0.7)};
}

void check(const Heads& h, const Told& told, const RowSpans& spans) {
  const AttentionSetting set = test::setting(told, spans, h.q.size(2), h.k.size(2));
  const Attended expected = ByHand(h.q, h.k, h.v, told).of(spans);
  const at::Tensor scores = attention_scores(h.q, h.k, set);
  const at::Tensor pattern = attention_pattern(scores, set.sinks);
  REQUIRE(test::scores_apart(scores, expected.scores) < 1e-13);
  REQUIRE(relative(pattern, expected.pattern) < 1e-13);
  REQUIRE(relative(attention_mix(pattern, h.v), expected.z) < 1e-13);
  REQUIRE(relative(attention_fused(h.q, h.k, h.v, set), expected.z) < 1e-13);
  at::Tensor sums = pattern.sum(-1);
  if (set.sinks.defined()) {
    const at::Tensor mass = sink_mass(scores, set.sinks);
    REQUIRE(relative(mass, expected.sink) < 1e-13);
    REQUIRE(sums.max().item<double>() < 1.0);
    sums = sums + mass;
  }
  REQUIRE((sums - 1).abs().max().item<double>() < 1e-14);
  const auto narrow = [](const at::Tensor& x) { return x.to(at::kFloat); };
  REQUIRE(
      relative(attention_fused(narrow(h.q), narrow(h.k), narrow(h.v),
                               test::setting(told, spans, h.q.size(2), h.k.size(2), at::kFloat)),
               expected.z) < 1e-5);
}

const std::vector<Case> kCases = {
    {2, 3, 3, 7, 7, 10, 10}, {2, 6, 2, 7, 7, 5, 5},  // grouped
    {2, 4, 2, 7, 7, 5, 8},                           // values of another width
    {3, 4, 1, 1, 1, 8, 3},   {2, 4, 2, 1, 9, 6, 6},  // one query behind its keys
    {2, 4, 2, 3, 9, 6, 4}};                          // several

}  // namespace

TEST_CASE("attention step by step and fused is the formula, under every rule") {
  for (const Case& c : kCases) {
    for (const Told& told : test::told_in_turn(c.heads)) {
      check(heads(c), told, test::whole_rows(c.batch, c.queries, c.keys));
    }
  }
  check(heads({1, 1, 1, 33, 33, 3, 3}), {{1.7}}, test::whole_rows(1, 33, 33));
}

TEST_CASE("the rules make a difference to attention") {
  const Case c{2, 4, 2, 7, 7, 6, 6};
  const RowSpans spans = test::whole_rows(2, 7, 7);
  std::vector<at::Tensor> all;
  for (const Told& told : test::told_in_turn(4)) {
    const Heads h = heads(c);
    all.push_back(attention_fused(h.q, h.k, h.v, test::setting(told, spans, 7, 7)));
    // A softmax does not see where alibi's distances are counted from; a softcap before it neither.
    const bool moved = told.from_end && told.sinks.empty();
    for (size_t i = 0; i + 1 < all.size(); ++i) {
      const double apart = relative(all.back(), all[i]);
      if (!moved) REQUIRE(apart > 1e-3);
    }
    if (moved) REQUIRE(relative(all.back(), all[all.size() - 2]) < 1e-13);
  }
}

TEST_CASE("a mask of each row's own is obeyed") {
  const Heads h = heads({2, 4, 2, 6, 6, 5, 5});
  at::Tensor mask = causal_mask(6, 6, at::kDouble).expand({2, 1, 6, 6}).clone();
  mask[1][0].narrow(1, 0, 2).fill_(false);  // the second row's first two keys are padding
  mask.logical_or_(at::eye(6, at::kBool));
  for (const Told& told : test::told_in_turn(4)) {
    if (told.rule.window > 0 || told.rule.chunk > 0) continue;
    AttentionSetting set = test::setting(told, {{0, 6, 0, 6}, {2, 4, 2, 4}}, 6, 6);
    set.mask = mask;
    const at::Tensor expected = ByHand(h.q, h.k, h.v, told).of({{0, 6, 0, 6}, {2, 4, 2, 4}}).z;
    const auto real = [](const at::Tensor& z) {
      return at::cat({z[0].flatten(), z[1].narrow(1, 2, 4).flatten()});
    };
    REQUIRE(relative(real(attention_fused(h.q, h.k, h.v, set)), real(expected)) < 1e-13);
    const at::Tensor pattern = attention_pattern(attention_scores(h.q, h.k, set), set.sinks);
    REQUIRE(relative(real(attention_mix(pattern, h.v)), real(expected)) < 1e-13);
  }
}

TEST_CASE("half types take the softmax in float32, with a sink and without") {
  const at::Tensor scores = 8 * test::waves({1, 2, 3, 200}, 0.9);
  const at::Tensor sinks = at::tensor({3.0, -1.0}, at::kDouble);
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    const double limit = type == at::kHalf ? 1e-3 : 8e-3;
    const at::Tensor narrow = scores.to(type);
    const at::Tensor expected = at::softmax(narrow.to(at::kDouble), -1).to(type);
    const at::Tensor pattern = attention_pattern(narrow, {});
    REQUIRE(pattern.scalar_type() == type);
    REQUIRE(relative(pattern, expected) < limit);
    const at::Tensor with = attention_pattern(narrow, sinks.to(type));
    REQUIRE(with.scalar_type() == type);
    REQUIRE(relative(with, attention_pattern(narrow.to(at::kDouble), sinks)) < limit);
    REQUIRE(relative(sink_mass(narrow, sinks.to(type)), sink_mass(scores, sinks)) < 10 * limit);
  }
}

TEST_CASE("a sink takes its part of every gradient") {
  const Heads h = heads({1, 2, 2, 5, 5, 4, 4});
  const Told told{{0.7}, {}, {0.4, -0.6}};
  AttentionSetting set = test::setting(told, test::whole_rows(1, 5, 5), 5, 5);
  const auto total = [&] { return attention_fused(h.q, h.k, h.v, set).square().sum(); };
  set.sinks = set.sinks.clone().requires_grad_(true);
  total().backward();
  const at::Tensor gradient = set.sinks.grad(), at = set.sinks.detach();
  const double step = 1e-6;
  for (int64_t head = 0; head < 2; ++head) {
    const auto moved = [&](double by) {
      set.sinks = at.clone();
      set.sinks[head] += by;
      return total().item<double>();
    };
    const double slope = (moved(step) - moved(-step)) / (2 * step);
    REQUIRE(gradient[head].item<double>() == Approx(slope).epsilon(1e-7));
  }
}

}  // namespace lenswright::test_attention
