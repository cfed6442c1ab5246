#include "nn/activation_kernel.h"

#include <bit>

#include "base/clones.h"

namespace lenswright {
namespace {

// exp(t) for t in [-87, 88] to a few units in the last place: 2^n e^r with |r| <= ln 2 / 2.
inline __attribute__((always_inline)) float exponential(float t) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  const float n = (t * 1.44269504f + kRound) - kRound;
  // ln 2 in two parts, the first short enough for n times it to be exact.
  const float r = (t - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

// v / (1 + exp(t)), t drawn to where exp neither overflows nor vanishes.
inline __attribute__((always_inline)) float over_one_plus(float v, float t) {
  t = t < -87.0f ? -87.0f : t;
  t = t > 88.0f ? 88.0f : t;
  return v / (1.0f + exponential(t));
}

}  // namespace

LENSWRIGHT_CLONES void gelu_tanh(const float* __restrict x, int64_t count, float* __restrict y) {
  constexpr float kLinear = 1.5957691216f, kCubic = 0.0713548163f;  // 2 sqrt(2/π), times 0.044715
  for (int64_t i = 0; i < count; ++i) {
    const float v = x[i];
    y[i] = over_one_plus(v, -v * (kLinear + kCubic * (v * v)));
  }
}

LENSWRIGHT_CLONES void silu(const float* __restrict x, int64_t count, float* __restrict y) {
  for (int64_t i = 0; i < count; ++i) y[i] = over_one_plus(x[i], -x[i]);
}

LENSWRIGHT_CLONES void gated_silu(const float* __restrict x, const float* __restrict factor,
                                  int64_t count, float* __restrict y) {
  for (int64_t i = 0; i < count; ++i) y[i] = over_one_plus(x[i], -x[i]) * factor[i];
}

}  // namespace lenswright
