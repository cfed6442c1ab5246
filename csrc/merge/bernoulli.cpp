#include "merge/bernoulli.h"

#include <array>

#include "base/clones.h"

namespace lenswright {
namespace {

LENSWRIGHT_CLONES void drop(const uint32_t* words, uint64_t limit, double factor, int64_t n,
                            double* delta) {
  for (int64_t i = 0; i < n; ++i) delta[i] = words[i] < limit ? delta[i] * factor : 0.0;
}

uint64_t limit_of(double probability) { return static_cast<uint64_t>(probability * 0x1p32); }

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

}  // namespace lenswright
