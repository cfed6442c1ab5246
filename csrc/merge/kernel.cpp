#include "merge/kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/clones.h"

namespace lenswright {
namespace {

constexpr int kLanes = 8;
using Lanes = double __attribute__((vector_size(8 * kLanes)));

// By reference: returning such a vector would depend on the instruction set.
inline double total(const Lanes& lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

inline void load(const double* from, Lanes& lanes) { std::memcpy(&lanes, from, sizeof lanes); }

// What is left of a row, with zeros behind it.
inline void load_some(const double* from, int64_t n, Lanes& lanes) {
  lanes = Lanes{};
  std::memcpy(&lanes, from, static_cast<size_t>(n) * sizeof(double));
}

}  // namespace

LENSWRIGHT_CLONES double dot(const double* a, const double* b, int64_t n) {
  Lanes sum = {}, more = {}, x, y;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    load(a + i, x);
    load(b + i, y);
    sum += x * y;
    load(a + i + kLanes, x);
    load(b + i + kLanes, y);
    more += x * y;
  }
  for (; i < n; i += kLanes) {
    load_some(a + i, std::min<int64_t>(kLanes, n - i), x);
    load_some(b + i, std::min<int64_t>(kLanes, n - i), y);
    sum += x * y;
  }
  sum += more;
  return total(sum);
}

LENSWRIGHT_CLONES double sum_abs(const double* a, int64_t n) {
  Lanes sum = {}, x;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load(a + i, x);
    sum += x < 0 ? -x : x;
  }
  if (i < n) {
    load_some(a + i, n - i, x);
    sum += x < 0 ? -x : x;
  }
  return total(sum);
}

LENSWRIGHT_CLONES int64_t count_nonzero(const double* a, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) count += a[i] != 0 ? 1 : 0;
  return count;
}

LENSWRIGHT_CLONES int64_t count_not_finite(const double* a, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    count += std::abs(a[i]) <= std::numeric_limits<double>::max() ? 0 : 1;
  }
  return count;
}

LENSWRIGHT_CLONES void subtract(const double* a, const double* b, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] - b[i];
}

LENSWRIGHT_CLONES void scale(double w, const double* a, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = w * a[i];
}

LENSWRIGHT_CLONES void add_scaled(double w, const double* a, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] += w * a[i];
}

LENSWRIGHT_CLONES void divide(double d, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] /= d;
}

LENSWRIGHT_CLONES void elect(const double* sum, const double* delta, double weight, int64_t n,
                             double* numerator, double* divisor) {
  for (int64_t i = 0; i < n; ++i) {
    const double term = weight * delta[i];
    // Arithmetic instead of a branch, so that NaN stays NaN.
    const double agrees = sum[i] >= 0 ? (term > 0 ? 1.0 : 0.0) : (term < 0 ? 1.0 : 0.0);
    numerator[i] += term * agrees;
    divisor[i] += weight * agrees;
  }
}

LENSWRIGHT_CLONES void divide_each(const double* d, double least, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) {
    const double by = d[i] < least ? least : d[i];
    out[i] /= by == 0 ? 1.0 : by;
  }
}

LENSWRIGHT_CLONES void magnitude(const double* a, int64_t n, double* out) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < n; ++i) {
    const double size = std::abs(a[i]);
    out[i] = size <= kInfinity ? size : kInfinity;
  }
}

}  // namespace lenswright
