#include "nn/norm_kernel.h"

#include <array>
#include <cmath>

#include "base/clones.h"

namespace lenswright {
namespace {

constexpr int64_t kLanes = 32;

template <typename T>
inline __attribute__((always_inline)) void rms(const T* __restrict x, int64_t width, double eps,
                                               const T* __restrict gain, T* __restrict y) {
  std::array<T, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += x[i + lane] * x[i + lane];
  }
  double sum = 0;
  for (T lane : lanes) sum += static_cast<double>(lane);
  for (; i < width; ++i) sum += static_cast<double>(x[i] * x[i]);
  const T scale = static_cast<T>(1.0 / std::sqrt(sum / static_cast<double>(width) + eps));
  if (!gain) {
    for (int64_t j = 0; j < width; ++j) y[j] = x[j] * scale;
    return;
  }
  for (int64_t j = 0; j < width; ++j) y[j] = x[j] * scale * gain[j];
}

}  // namespace

LENSWRIGHT_CLONES void rms_row(const float* x, int64_t width, double eps, const float* gain,
                               float* y) {
  rms(x, width, eps, gain, y);
}

LENSWRIGHT_CLONES void rms_row(const double* x, int64_t width, double eps, const double* gain,
                               double* y) {
  rms(x, width, eps, gain, y);
}

}  // namespace lenswright
