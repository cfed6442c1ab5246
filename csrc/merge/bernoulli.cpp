#include "merge/bernoulli.h"

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "base/avx512.h"

namespace lenswright {
namespace {

LENSWRIGHT_CLONES bool has(const uint16_t* halves, uint16_t value, int64_t n) {
  unsigned found = 0;
  for (int64_t i = 0; i < n; ++i) found |= halves[i] == value;
  return found != 0;
}

[[gnu::always_inline]] inline void drop_each(const uint16_t* halves, uint16_t limit, double factor,
                                             int64_t n, double* delta) {
  for (int64_t i = 0; i < n; ++i) delta[i] = halves[i] < limit ? delta[i] * factor : 0.0;
}

LENSWRIGHT_PLAIN void drop(const uint16_t* halves, uint16_t limit, double factor, int64_t n,
                           double* delta) {
  drop_each(halves, limit, factor, n, delta);
}

#ifdef LENSWRIGHT_HAS_CLONES
// As the compiler does not: 32 at a time, which widens no half.
LENSWRIGHT_V4 void drop(const uint16_t* halves, uint16_t limit, double factor, int64_t n,
                        double* delta) {
  constexpr int64_t kHalves = 32;
  const __m512i limits = _mm512_set1_epi16(static_cast<int16_t>(limit));
  const __m512d factors = _mm512_set1_pd(factor);
  int64_t i = 0;
  for (; i + kHalves <= n; i += kHalves) {
    const __mmask32 kept = _mm512_cmplt_epu16_mask(_mm512_loadu_si512(halves + i), limits);
    for (int part = 0; part < 4; ++part) {
      double* const at = delta + i + 8 * part;
      const auto own = static_cast<__mmask8>(kept >> (8 * part));
      _mm512_storeu_pd(at, _mm512_maskz_mul_pd(own, _mm512_loadu_pd(at), factors));
    }
  }
  drop_each(halves + i, limit, factor, n - i, delta + i);
}
#endif

}  // namespace

Bernoulli::Bernoulli(const Task& task, bool unbiased) {
  for (const size_t model : task.others()) {
    const double density = task.own[model].at("density");
    const uint64_t stream = task.streams[model];
    models_.push_back({Philox(task.seed, stream), Philox(task.seed, ~stream), density,
                       unbiased && density > 0 ? 1 / density : 1});
  }
}

void Bernoulli::apply(int64_t, const Strip& strip, size_t index, double* delta, double*) {
  const Model& model = models_[index];
  if (model.density >= 1) return;
  const auto limit = static_cast<uint64_t>(model.density * 0x1p48);
  const auto start = static_cast<uint16_t>(limit >> 32);
  const auto first = static_cast<uint64_t>(strip.first);
  std::array<uint32_t, kStrip / 2 + 1> words;
  std::array<uint16_t, 2 * words.size()> halves;
  model.random.words(first / 2, strip.count / 2 + 1, words.data());
  std::memcpy(halves.data(), words.data(), sizeof words);
  const uint16_t* const own = halves.data() + first % 2;
  std::vector<std::pair<int64_t, double>> kept;  // of those that only further bits decide on
  if (has(own, start, strip.count)) {
    for (int64_t i = 0; i < strip.count; ++i) {
      if (own[i] != start) continue;
      const uint32_t more = model.more.word(first + static_cast<uint64_t>(i));
      if (more < static_cast<uint32_t>(limit)) kept.emplace_back(i, delta[i] * model.factor);
    }
  }
  drop(own, start, model.factor, strip.count, delta);
  for (const auto& [i, value] : kept) delta[i] = value;
}

}  // namespace lenswright
