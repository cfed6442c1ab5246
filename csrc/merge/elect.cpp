#include <algorithm>
#include <array>

#include "base/avx512.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

struct Voters {
  const double* const* deltas;
  const double *votes, *weights;
  size_t count;
  double least;  // of a divisor
};

// What a sum of terms is multiplied by, whose weights have the sum `divisor`.
[[gnu::always_inline]] inline double factor_of(double divisor, double least) {
  const double by = divisor < least ? least : divisor;
  return 1.0 / (by == 0 ? 1.0 : by);
}

// All in one loop, so that what is found for one element never leaves the registers.
template <size_t models, bool divides>
[[gnu::always_inline]] inline void together(const Voters& voters, int64_t first, int64_t n,
                                            double* out) {
  const double least = voters.least;
  std::array<const double*, models> deltas;
  std::array<double, models> votes, weights;
  std::copy_n(voters.deltas, models, deltas.begin());
  std::copy_n(voters.votes, models, votes.begin());
  std::copy_n(voters.weights, models, weights.begin());
#pragma GCC ivdep
  for (int64_t i = first; i < n; ++i) {
    double sum = votes[0] * deltas[0][i];
    for (size_t m = 1; m < models; ++m) sum += votes[m] * deltas[m][i];
    double top = 0, bottom = 0;
    for (size_t m = 0; m < models; ++m) {
      const double term = weights[m] * deltas[m][i];
      // Arithmetic instead of a branch, so that NaN stays NaN.
      const double agrees = sum >= 0 ? (term > 0 ? 1.0 : 0.0) : (term < 0 ? 1.0 : 0.0);
      top += term * agrees;
      bottom += weights[m] * agrees;
    }
    out[i] = divides ? top * factor_of(bottom, least) : top;
  }
}

template <bool divides>
[[gnu::always_inline]] inline void any(const Voters& v, int64_t first, int64_t n, double* out) {
  if (v.count == 1) return together<1, divides>(v, first, n, out);
  if (v.count == 2) return together<2, divides>(v, first, n, out);
  return together<3, divides>(v, first, n, out);
}

LENSWRIGHT_CLONES void in_a_loop(const Voters& v, bool divides, int64_t first, int64_t n,
                                 double* out) {
  divides ? any<true>(v, first, n, out) : any<false>(v, first, n, out);
}

// Of up to three models.
LENSWRIGHT_PLAIN void few(const Voters& v, bool divides, int64_t n, double* out) {
  in_a_loop(v, divides, 0, n, out);
}

#ifdef LENSWRIGHT_HAS_CLONES
// 1 / divisor of every choice of models that agree; a bit for each.
template <size_t models>
LENSWRIGHT_V4 inline __m512d factors_of(const Voters& v) {
  alignas(64) double factors[8];
  for (unsigned choice = 0; choice < 8; ++choice) {
    double sum = 0;
    for (size_t m = 0; m < models; ++m) sum += (choice >> m & 1) != 0 ? v.weights[m] : 0.0;
    factors[choice] = factor_of(sum, v.least);
  }
  return _mm512_load_pd(factors);
}

// The same arithmetic by masks, of which GCC 12 makes three times as much. How many are done.
template <size_t models, bool divides>
LENSWRIGHT_V4 inline int64_t by_eight(const Voters& v, int64_t n, double* out) {
  const __m512d zero = _mm512_setzero_pd(), one = _mm512_set1_pd(1);
  const __m512d factors = factors_of<models>(v);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    __m512d delta[models], sum = zero, top = zero;
    __m512i choice = _mm512_setzero_si512();
    for (size_t m = 0; m < models; ++m) {
      delta[m] = _mm512_loadu_pd(v.deltas[m] + i);
      const __m512d vote = _mm512_mul_pd(_mm512_set1_pd(v.votes[m]), delta[m]);
      sum = m == 0 ? vote : _mm512_add_pd(sum, vote);
    }
    const __mmask8 up = _mm512_cmp_pd_mask(sum, zero, _CMP_GE_OQ), down = _knot_mask8(up);
    for (size_t m = 0; m < models; ++m) {
      const __m512d term = _mm512_mul_pd(_mm512_set1_pd(v.weights[m]), delta[m]);
      const __mmask8 agrees = _kor_mask8(_mm512_mask_cmp_pd_mask(up, term, zero, _CMP_GT_OQ),
                                         _mm512_mask_cmp_pd_mask(down, term, zero, _CMP_LT_OQ));
      top = _mm512_add_pd(top, _mm512_mul_pd(term, _mm512_maskz_mov_pd(agrees, one)));
      const __m512i bit = _mm512_set1_epi64(int64_t{1} << m);
      choice = _mm512_mask_or_epi64(choice, agrees, choice, bit);
    }
    if (divides) top = _mm512_mul_pd(top, _mm512_permutexvar_pd(choice, factors));
    _mm512_storeu_pd(out + i, top);
  }
  return i;
}

template <bool divides>
LENSWRIGHT_V4 inline int64_t any_by_eight(const Voters& v, int64_t n, double* out) {
  if (v.count == 1) return by_eight<1, divides>(v, n, out);
  if (v.count == 2) return by_eight<2, divides>(v, n, out);
  return by_eight<3, divides>(v, n, out);
}

LENSWRIGHT_V4 void few(const Voters& v, bool divides, int64_t n, double* out) {
  const int64_t done = divides ? any_by_eight<true>(v, n, out) : any_by_eight<false>(v, n, out);
  in_a_loop(v, divides, done, n, out);
}
#endif

LENSWRIGHT_CLONES void add_share(const double* sum, const double* delta, double weight, int64_t n,
                                 double* numerator, double* divisor) {
  for (int64_t i = 0; i < n; ++i) {
    const double term = weight * delta[i];
    const double agrees = sum[i] >= 0 ? (term > 0 ? 1.0 : 0.0) : (term < 0 ? 1.0 : 0.0);
    numerator[i] += term * agrees;
    divisor[i] += weight * agrees;
  }
}

LENSWRIGHT_CLONES void divide_each(const double* divisor, double least, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] *= factor_of(divisor[i], least);
}

// A piece at a time, sums and divisors in small rooms.
void many(const Voters& v, bool divides, int64_t n, double* out) {
  constexpr int64_t kPiece = 512;
  std::array<double, kPiece> sum, divisor;
  for (int64_t at = 0; at < n; at += kPiece) {
    const int64_t piece = std::min(kPiece, n - at);
    scale(v.votes[0], v.deltas[0] + at, piece, sum.data());
    for (size_t m = 1; m < v.count; ++m) {
      add_scaled(v.votes[m], v.deltas[m] + at, piece, sum.data());
    }
    std::fill_n(out + at, piece, 0.0);
    divisor.fill(0.0);
    for (size_t m = 0; m < v.count; ++m) {
      add_share(sum.data(), v.deltas[m] + at, v.weights[m], piece, out + at, divisor.data());
    }
    if (divides) divide_each(divisor.data(), v.least, piece, out + at);
  }
}

void vote(const Voters& voters, bool divides, int64_t n, double* out) {
  voters.count <= 3 ? few(voters, divides, n, out) : many(voters, divides, n, out);
}

}  // namespace

void elect(std::span<const double* const> deltas, std::span<const double> votes,
           std::span<const double> weights, int64_t n, double* out) {
  vote({deltas.data(), votes.data(), weights.data(), deltas.size(), 0}, false, n, out);
}

void elect_mean(std::span<const double* const> deltas, std::span<const double> votes,
                std::span<const double> weights, double least, int64_t n, double* out) {
  vote({deltas.data(), votes.data(), weights.data(), deltas.size(), least}, true, n, out);
}

}  // namespace lenswright
