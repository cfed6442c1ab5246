#include "merge/kernel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/avx512.h"

namespace lenswright {
namespace {

constexpr int kLanes = 8;

}  // namespace

LENSWRIGHT_CLONES void subtract(const double* a, const double* b, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] - b[i];
}

namespace {

// One loop, so that the sum of an element never leaves the registers. moved: of differences to the
// base, to which it is added.
template <size_t inputs, bool moved>
[[gnu::always_inline]] inline void sum_of(const double* base, const double* const* x,
                                          const double* w, int64_t n, double* out) {
  std::array<const double*, inputs> from;
  std::array<double, inputs> weights;
  std::copy_n(x, inputs, from.begin());
  std::copy_n(w, inputs, weights.begin());
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    double sum = weights[0] * (moved ? from[0][i] - base[i] : from[0][i]);
    for (size_t m = 1; m < inputs; ++m) {
      sum += weights[m] * (moved ? from[m][i] - base[i] : from[m][i]);
    }
    out[i] = moved ? sum + base[i] : sum;
  }
}

LENSWRIGHT_CLONES void sum_of_two(const double* const* x, const double* w, int64_t n, double* out) {
  sum_of<2, false>(nullptr, x, w, n, out);
}

LENSWRIGHT_CLONES void sum_of_three(const double* const* x, const double* w, int64_t n,
                                    double* out) {
  sum_of<3, false>(nullptr, x, w, n, out);
}

LENSWRIGHT_CLONES void moved_by_two(const double* base, const double* const* x, const double* w,
                                    int64_t n, double* out) {
  sum_of<2, true>(base, x, w, n, out);
}

LENSWRIGHT_CLONES void moved_by_three(const double* base, const double* const* x, const double* w,
                                      int64_t n, double* out) {
  sum_of<3, true>(base, x, w, n, out);
}

LENSWRIGHT_CLONES void add_delta(const double* base, const double* x, double w, int64_t n,
                                 double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] += w * (x[i] - base[i]);
}

}  // namespace

void weighted_sum(std::span<const double* const> x, std::span<const double> w, int64_t n,
                  double* out) {
  if (x.size() == 2) return sum_of_two(x.data(), w.data(), n, out);
  if (x.size() == 3) return sum_of_three(x.data(), w.data(), n, out);
  scale(w[0], x[0], n, out);
  for (size_t i = 1; i < x.size(); ++i) add_scaled(w[i], x[i], n, out);
}

void add_deltas(const double* base, std::span<const double* const> x, std::span<const double> w,
                int64_t n, double* out) {
  if (x.size() == 2) return moved_by_two(base, x.data(), w.data(), n, out);
  if (x.size() == 3) return moved_by_three(base, x.data(), w.data(), n, out);
  std::fill_n(out, n, 0.0);
  for (size_t i = 0; i < x.size(); ++i) add_delta(base, x[i], w[i], n, out);
  add_scaled(1.0, base, n, out);
}

LENSWRIGHT_CLONES void scale(double w, const double* a, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = w * a[i];
}

LENSWRIGHT_CLONES void add_scaled(double w, const double* a, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] += w * a[i];
}

namespace {

LENSWRIGHT_CLONES void divide_plainly(double d, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] /= d;
}

LENSWRIGHT_PLAIN void divide_all(double d, int64_t n, double* out) { divide_plainly(d, n, out); }

#ifdef LENSWRIGHT_HAS_CLONES
// The quotient in three steps from the reciprocal, thrice as quick as a division and the same
// number: r = 1/d rounded, q within a unit of x/d, then q + (x - q d) r is x/d rounded (Markstein
// 1990, IBM J. Res. Dev. 34), as long as nothing over- or underflows.
LENSWRIGHT_V4 void divide_all(double d, int64_t n, double* out) {
  constexpr double kLeast = 0x1p-400, kMost = 0x1p400;
  const double size = std::abs(d);
  if (!(size >= kLeast && size <= kMost)) return divide_plainly(d, n, out);
  const __m512d by = _mm512_set1_pd(d), reciprocal = _mm512_set1_pd(1 / d);
  const __m512d least = _mm512_set1_pd(kLeast), most = _mm512_set1_pd(kMost);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const __m512d x = _mm512_loadu_pd(out + i), sizes = _mm512_abs_pd(x);
    const __mmask8 zero = _mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_EQ_OQ);
    const __mmask8 safe = _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(sizes, least, _CMP_GE_OQ),
                                                  sizes, most, _CMP_LE_OQ);
    if ((safe | zero) != 0xFF) {
      divide_plainly(d, kLanes, out + i);
      continue;
    }
    const __m512d rough = _mm512_mul_pd(x, reciprocal);
    const __m512d near = _mm512_fmadd_pd(_mm512_fnmadd_pd(rough, by, x), reciprocal, rough);
    const __m512d exact = _mm512_fmadd_pd(_mm512_fnmadd_pd(near, by, x), reciprocal, near);
    _mm512_storeu_pd(out + i, _mm512_mask_mov_pd(exact, zero, rough));  // with the sign of 0
  }
  divide_plainly(d, n - i, out + i);
}
#endif

}  // namespace

void divide(double d, int64_t n, double* out) { divide_all(d, n, out); }

}  // namespace lenswright
