#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "nn/attention_mask.h"
#include "nn/attention_rows.h"
#include "tensors.h"

namespace lenswright::test {

/// What attention is told, as plain numbers by head.
struct Told {
  AttentionRule rule{};
  std::vector<double> slopes{}, sinks{};  // empty: none
  bool from_end = false;
};

/// One of each rule, and all of them at once; windows and chunks are small enough to cut.
inline std::vector<Told> told_in_turn(int64_t heads) {
  std::vector<double> slopes, sinks;
  for (int64_t head = 0; head < heads; ++head) {
    slopes.push_back(std::exp2(-0.5 * static_cast<double>(head + 1)));
    sinks.push_back(0.7 * static_cast<double>(head) - 0.9);
  }
  return {{{0.7}},
          {{0.7, 1.3}},
          {{0.7, 0.0, 3}},
          {{0.7, 0.0, 0, 4}},
          {{0.7, 0.0, 3, 4}},
          {{0.7}, slopes},
          {{0.7}, slopes, {}, true},
          {{0.7}, {}, sinks},
          {{0.7, 1.3, 3, 4}, slopes, sinks, true}};
}

inline bool sees(const AttentionRule& rule, int64_t query, int64_t key) {
  if (key > query) return false;
  if (rule.window > 0 && query - key >= rule.window) return false;
  return rule.chunk == 0 || query / rule.chunk == key / rule.chunk;
}

struct Attended {
  at::Tensor scores, pattern, sink, z;
};

/// Attention of float64 numbers one by one, of the places `spans` names; elsewhere -inf, 0, 0, 0.
class ByHand {
 public:
  ByHand(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Told& told)
      : q_(q.to(at::kDouble)), k_(k.to(at::kDouble)), v_(v.to(at::kDouble)), told_(told) {
    const at::TensorOptions f64(at::kDouble);
    const int64_t rows = q.size(0), heads = q.size(1), queries = q.size(2);
    made_.scores = at::full({rows, heads, queries, k.size(2)}, -kInfinity, f64);
    made_.pattern = at::zeros({rows, heads, queries, k.size(2)}, f64);
    made_.sink = at::zeros({rows, heads, queries}, f64);
    made_.z = at::zeros({rows, heads, queries, v.size(3)}, f64);
  }

  Attended of(const RowSpans& spans) {
    for (size_t row = 0; row < spans.size(); ++row) {
      for (int64_t head = 0; head < q_.size(1); ++head) {
        for (int64_t i = 0; i < spans[row].queries; ++i) {
          attend(static_cast<int64_t>(row), head, i, spans[row]);
        }
      }
    }
    return made_;
  }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  double score(int64_t row, int64_t head, int64_t query, int64_t key, int64_t distance) const {
    const auto q = q_.accessor<double, 4>(), k = k_.accessor<double, 4>();
    const int64_t kv_head = head / (q_.size(1) / k_.size(1));
    double sum = 0;
    for (int64_t e = 0; e < q_.size(3); ++e) {
      sum += q[row][head][query][e] * k[row][kv_head][key][e];
    }
    sum *= told_.rule.scale;
    const double cap = told_.rule.softcap;
    if (cap > 0) sum = cap * std::tanh(sum / cap);
    return told_.slopes.empty() ? sum : sum + told_.slopes[head] * static_cast<double>(distance);
  }

  void attend(int64_t row, int64_t head, int64_t i, const RowSpan& s) {
    const int64_t query = s.query + i, place = s.keys - s.queries + i;
    const int64_t kv_head = head / (q_.size(1) / k_.size(1));
    std::vector<double> scores(s.keys, -kInfinity);
    const double sink = told_.sinks.empty() ? -kInfinity : told_.sinks[head];
    double top = sink;
    for (int64_t j = 0; j < s.keys; ++j) {
      if (!sees(told_.rule, place, j)) continue;
      const int64_t distance = told_.from_end ? j - (s.keys - 1) : j;
      scores[j] = score(row, head, query, s.key + j, distance);
      top = std::max(top, scores[j]);
    }
    double total = std::exp(sink - top);
    for (double x : scores) total += std::exp(x - top);
    made_.sink[row][head][query] = std::exp(sink - top) / total;
    const auto v = v_.accessor<double, 4>();
    auto z = made_.z.accessor<double, 4>(), pattern = made_.pattern.accessor<double, 4>(),
         kept = made_.scores.accessor<double, 4>();
    for (int64_t j = 0; j < s.keys; ++j) {
      const double weight = std::exp(scores[j] - top) / total;
      kept[row][head][query][s.key + j] = scores[j];
      pattern[row][head][query][s.key + j] = weight;
      for (int64_t e = 0; e < v_.size(3); ++e) {
        z[row][head][query][e] += weight * v[row][kv_head][s.key + j][e];
      }
    }
  }

  at::Tensor q_, k_, v_;
  Told told_;
  Attended made_;
};

/// The same, as a run tells a layer of a whole batch: one rectangle with a mask.
inline AttentionSetting setting(const Told& told, const RowSpans& spans, int64_t queries,
                                int64_t keys, at::ScalarType type = at::kDouble) {
  const int64_t rows = static_cast<int64_t>(spans.size());
  at::Tensor query_positions = at::zeros({rows, queries}, at::kLong);
  at::Tensor key_positions = at::zeros({rows, keys}, at::kLong);
  at::Tensor mask = at::zeros({rows, 1, queries, keys}, at::kBool);
  at::Tensor end = at::zeros({rows}, at::kLong);
  bool whole = true;
  for (int64_t row = 0; row < rows; ++row) {
    const RowSpan& s = spans[row];
    whole = whole && s.queries == queries && s.keys == keys;
    end[row] = s.keys - 1;
    key_positions[row] = (at::arange(keys, at::kLong) - s.key).clamp_min(0);
    query_positions[row] =
        (at::arange(queries, at::kLong) - s.query + s.keys - s.queries).clamp_min(0);
    mask[row][0]
        .narrow(0, s.query, s.queries)
        .narrow(1, s.key, s.keys)
        .copy_(at::ones({s.queries, s.keys}, at::kBool).tril(s.keys - s.queries));
  }
  AttentionSetting set;
  set.rule = told.rule;
  set.mask = within_sight(whole ? at::Tensor() : mask, query_positions, key_positions, told.rule);
  if (!told.slopes.empty()) {
    set.slopes = at::tensor(told.slopes, at::kDouble).to(type);
    set.from_end = told.from_end;
    set.bias = alibi_bias(set.slopes, key_positions, told.from_end ? end : at::Tensor());
  }
  if (!told.sinks.empty()) set.sinks = at::tensor(told.sinks, at::kDouble).to(type);
  return set;
}

inline RowSpans whole_rows(int64_t rows, int64_t queries, int64_t keys) {
  return RowSpans(static_cast<size_t>(rows), RowSpan{0, queries, 0, keys});
}

/// The same numbers, -inf at the same places.
inline double scores_apart(const at::Tensor& a, const at::Tensor& b) {
  REQUIRE(at::equal(a.isinf(), b.isinf()));
  return relative(a.masked_fill(a.isinf(), 0.0), b.masked_fill(b.isinf(), 0.0));
}

}  // namespace lenswright::test
