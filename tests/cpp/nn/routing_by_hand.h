#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include "base/arithmetic.h"

namespace lenswright::test {

using Numbers = std::vector<double>;
using Choice = std::map<int64_t, double>;  // weight by expert

inline constexpr double kNever = -std::numeric_limits<double>::infinity();

inline Numbers softmax(const Numbers& x) {
  const double top = *std::max_element(x.begin(), x.end());
  double total = 0;
  for (double v : x) total += std::exp(v - top);
  Numbers y;
  for (double v : x) y.push_back(std::exp(v - top) / total);
  return y;
}

// The places of the largest, largest first.
inline std::vector<int64_t> best(const Numbers& worth, int64_t count) {
  std::vector<int64_t> order(worth.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return worth[a] > worth[b]; });
  order.resize(static_cast<size_t>(count));
  return order;
}

inline Numbers only_best_groups(Numbers scores, const Routing& r) {
  if (r.groups == 1) return scores;
  const int64_t size = r.experts / r.groups;
  Numbers worth;
  for (int64_t g = 0; g < r.groups; ++g) {
    Numbers own(scores.begin() + g * size, scores.begin() + (g + 1) * size);
    std::sort(own.rbegin(), own.rend());
    worth.push_back(r.group_by_two ? own[0] + own[1] : own[0]);
  }
  const auto kept = best(worth, r.chosen_groups);
  for (int64_t e = 0; e < r.experts; ++e) {
    if (std::find(kept.begin(), kept.end(), e / size) != kept.end()) continue;
    scores[e] = r.group_by_two ? kNever : 0.0;
  }
  return scores;
}

inline Choice by_probability(const Numbers& p, const Routing& r, const Numbers& correction) {
  Numbers scores = p;
  for (size_t e = 0; e < correction.size(); ++e) scores[e] += correction[e];
  Choice choice;
  double sum = r.renormalise_eps;
  for (int64_t e : best(only_best_groups(scores, r), r.chosen)) sum += choice[e] = p[e];
  for (auto& [e, weight] : choice) {
    if (r.renormalise) weight /= std::max(sum, r.renormalise_min);
  }
  return choice;
}

// arXiv:2310.00811 at inference, twice: the second time without the first choice.
inline Choice by_sparsemixer(const Numbers& logits, const Routing& r) {
  Numbers among = logits;
  Choice choice;
  for (int turn = 0; turn < 2; ++turn) {
    const int64_t top = best(among, 1)[0];
    Numbers near = among;
    for (size_t e = 0; e < logits.size(); ++e) {
      const double factor = std::max(std::abs(logits[e]), among[top]);
      if ((among[top] - logits[e]) / factor > 2 * r.jitter) near[e] = kNever;
    }
    choice[top] = softmax(near)[top];
    among[top] = kNever;
  }
  return choice;
}

inline Choice unscaled(const Numbers& logits, const Routing& r, const Numbers& correction) {
  if (r.router == Router::sparsemixer) return by_sparsemixer(logits, r);
  if (r.router == Router::softmax_first) return by_probability(softmax(logits), r, correction);
  Numbers sigmoid;
  for (double v : logits) sigmoid.push_back(1 / (1 + std::exp(-v)));
  if (r.router == Router::sigmoid) return by_probability(sigmoid, r, correction);
  const auto top = best(logits, r.chosen);
  Numbers chosen;
  for (int64_t e : top) chosen.push_back(logits[e]);
  const Numbers weights = softmax(chosen);
  Choice choice;
  for (size_t i = 0; i < top.size(); ++i) {
    choice[top[i]] = r.router == Router::softmax_last ? weights[i] : sigmoid[top[i]];
  }
  return choice;
}

/// What a router chooses for one token, in float64.
inline Choice choice_by_hand(const Numbers& logits, const Routing& r, const Numbers& correction) {
  Choice choice = unscaled(logits, r, correction);
  for (auto& [expert, weight] : choice) weight *= r.scale;
  return choice;
}

}  // namespace lenswright::test
