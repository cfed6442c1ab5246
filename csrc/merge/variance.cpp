#include "merge/variance.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/clones.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// In one loop for so many.
template <size_t count>
[[gnu::always_inline]] inline void variances_of(std::span<double* const> given, int64_t n,
                                                double* out) {
  std::array<const double*, count> x;
  std::copy_n(given.begin(), count, x.begin());
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    double sum = x[0][i], squares = 0;
    for (size_t m = 1; m < count; ++m) sum += x[m][i];
    const double mean = sum / static_cast<double>(count);
    for (size_t m = 0; m < count; ++m) squares += (x[m][i] - mean) * (x[m][i] - mean);
    const double variance = squares / static_cast<double>(count);
    out[i] = variance <= kInfinity ? variance : kInfinity;
  }
}

LENSWRIGHT_CLONES void variances_of_two(std::span<double* const> x, int64_t n, double* out) {
  variances_of<2>(x, n, out);
}

LENSWRIGHT_CLONES void variances_of_three(std::span<double* const> x, int64_t n, double* out) {
  variances_of<3>(x, n, out);
}

LENSWRIGHT_CLONES void add_square_of_gap(const double* x, const double* mean, int64_t n,
                                         double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
}

}  // namespace

void variances(std::span<double* const> x, int64_t n, double* mean, double* out) {
  if (x.size() == 2) return variances_of_two(x, n, out);
  if (x.size() == 3) return variances_of_three(x, n, out);
  std::fill(mean, mean + n, 0.0);
  std::fill(out, out + n, 0.0);
  for (const double* one : x) add_scaled(1.0, one, n, mean);
  divide(static_cast<double>(x.size()), n, mean);
  for (const double* one : x) add_square_of_gap(one, mean, n, out);
  divide(static_cast<double>(x.size()), n, out);
  magnitude(out, n, out);
}

}  // namespace lenswright
