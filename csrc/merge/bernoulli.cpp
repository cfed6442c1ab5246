#include "merge/bernoulli.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/clones.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

LENSWRIGHT_CLONES void drop(const uint32_t* words, uint64_t limit, double factor, int64_t n,
                            double* delta) {
  for (int64_t i = 0; i < n; ++i) delta[i] = words[i] < limit ? delta[i] * factor : 0.0;
}

uint64_t limit_of(double probability) { return static_cast<uint64_t>(probability * 0x1p32); }

// `order` such that sizes[order[0]] is the smallest; equal ones by position, the last first: as
// elsewhere, of equal sizes the first counts as the largest.
void sort_by_size(const double* sizes, int64_t n,
                  std::vector<std::pair<uint64_t, int32_t>>& order) {
  order.resize(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    order[static_cast<size_t>(i)] = {std::bit_cast<uint64_t>(sizes[i]), -static_cast<int32_t>(i)};
  }
  std::ranges::sort(order);
}

}  // namespace

Bernoulli::Bernoulli(const Task& task, bool unbiased) {
  for (const size_t model : task.others()) {
    const double density = task.own[model].at("density");
    models_.push_back({Philox(task.seed, task.streams[model]), density,
                       unbiased && density > 0 ? 1 / density : 1});
  }
}

void Bernoulli::apply(int64_t, const Strip& strip, size_t index, double* delta, double*) {
  const Model& model = models_[index];
  if (model.density >= 1) return;
  std::array<uint32_t, kStrip> words;
  model.random.words(static_cast<uint64_t>(strip.first), strip.count, words.data());
  drop(words.data(), limit_of(model.density), model.factor, strip.count, delta);
}

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
  thread_local std::vector<std::pair<uint64_t, int32_t>> order;
  thread_local std::vector<uint32_t> words;
  magnitude(delta, n, room);
  sort_by_size(room, n, order);
  words.resize(static_cast<size_t>(n));
  model.random.words(static_cast<uint64_t>(strip.first), n, words.data());
  const double low = model.density - model.epsilon;
  const double step = n > 1 ? 2 * model.epsilon / static_cast<double>(n - 1) : 0;
  for (int64_t rank = 0; rank < n; ++rank) {
    const auto i = static_cast<size_t>(-order[static_cast<size_t>(rank)].second);
    const double p = n > 1 ? low + step * static_cast<double>(rank) : model.density;
    const bool kept = words[i] < limit_of(p);
    delta[i] = kept ? (unbiased_ ? delta[i] / p : delta[i]) : 0.0;
  }
}

}  // namespace lenswright
