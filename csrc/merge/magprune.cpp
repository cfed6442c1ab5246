#include "merge/magprune.h"

#include <algorithm>
#include <cmath>

#include "base/clones.h"
#include "merge/kernel.h"
#include "merge/ranking.h"

namespace lenswright {
namespace {

// Element i stays with probability low + step · (twice its rank); unbiased: and is divided by it.
template <bool unbiased>
[[gnu::always_inline]] inline void draw(const uint32_t* words, const int32_t* ranks, double low,
                                        double step, int64_t n, double* delta) {
  for (int64_t i = 0; i < n; ++i) {
    const double p = low + step * static_cast<double>(ranks[i]);
    // word < floor(p 2^32), without a floor
    const bool kept = static_cast<double>(words[i]) + 1.0 <= p * 0x1p32;
    const double value = unbiased ? delta[i] / p : delta[i];
    delta[i] = kept ? value : 0.0;
  }
}

LENSWRIGHT_CLONES void draw_plain(const uint32_t* words, const int32_t* ranks, double low,
                                  double step, int64_t n, double* delta) {
  draw<false>(words, ranks, low, step, n, delta);
}

LENSWRIGHT_CLONES void draw_unbiased(const uint32_t* words, const int32_t* ranks, double low,
                                     double step, int64_t n, double* delta) {
  draw<true>(words, ranks, low, step, n, delta);
}

}  // namespace

MagPrune::MagPrune(const Task& task, bool unbiased) : unbiased_(unbiased) {
  for (const size_t model : task.others()) {
    const Values& own = task.own[model];
    const double density = own.at("density");
    // Where the recipe says nothing: 0.15, or as much as leaves probabilities between 0 and 1.
    const double epsilon =
        own.has("epsilon") ? own.at("epsilon") : std::min({0.15, density, 1 - density});
    models_.push_back({Philox(task.seed, task.streams[model]), density, epsilon});
  }
}

void MagPrune::apply(int64_t, const Strip& strip, size_t index, double* delta, double* room) {
  const Model& model = models_[index];
  if (model.density >= 1) return;
  const int64_t n = strip.count;
  thread_local Ranking ranking;
  thread_local std::vector<int32_t> ranks;
  thread_local std::vector<uint32_t> words;
  ranks.resize(static_cast<size_t>(n));
  words.resize(static_cast<size_t>(n));
  const double most = magnitude(delta, n, room);
  ranking.rank(room, n, most, ranks.data());
  model.random.words(static_cast<uint64_t>(strip.first), n, words.data());
  const double low = n > 1 ? model.density - model.epsilon : model.density;
  const double step = n > 1 ? model.epsilon / static_cast<double>(n - 1) : 0;
  (unbiased_ ? draw_unbiased : draw_plain)(words.data(), ranks.data(), low, step, n, delta);
}

}  // namespace lenswright
