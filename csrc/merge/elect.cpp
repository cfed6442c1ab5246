#include <algorithm>
#include <array>

#include "base/clones.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

struct Voters {
  const double* const* deltas;
  const double *votes, *weights;
  size_t count;
  double least;  // of a divisor
};

// All in one loop, so that what is found for one element never leaves the registers.
template <size_t models, bool divides>
[[gnu::always_inline]] inline void together(const Voters& voters, int64_t n, double* out) {
  const double least = voters.least;
  std::array<const double*, models> deltas;
  std::array<double, models> votes, weights;
  std::copy_n(voters.deltas, models, deltas.begin());
  std::copy_n(voters.votes, models, votes.begin());
  std::copy_n(voters.weights, models, weights.begin());
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
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
    const double by = bottom < least ? least : bottom;
    out[i] = divides ? top / (by == 0 ? 1.0 : by) : top;
  }
}

LENSWRIGHT_CLONES void one(const Voters& v, int64_t n, double* out) {
  together<1, false>(v, n, out);
}

LENSWRIGHT_CLONES void one_divided(const Voters& v, int64_t n, double* out) {
  together<1, true>(v, n, out);
}

LENSWRIGHT_CLONES void two(const Voters& v, int64_t n, double* out) {
  together<2, false>(v, n, out);
}

LENSWRIGHT_CLONES void two_divided(const Voters& v, int64_t n, double* out) {
  together<2, true>(v, n, out);
}

LENSWRIGHT_CLONES void three(const Voters& v, int64_t n, double* out) {
  together<3, false>(v, n, out);
}

LENSWRIGHT_CLONES void three_divided(const Voters& v, int64_t n, double* out) {
  together<3, true>(v, n, out);
}

LENSWRIGHT_CLONES void add_share(const double* sum, const double* delta, double weight, int64_t n,
                                 double* numerator, double* divisor) {
  for (int64_t i = 0; i < n; ++i) {
    const double term = weight * delta[i];
    const double agrees = sum[i] >= 0 ? (term > 0 ? 1.0 : 0.0) : (term < 0 ? 1.0 : 0.0);
    numerator[i] += term * agrees;
    divisor[i] += weight * agrees;
  }
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
  switch (voters.count) {
    case 1:
      return (divides ? one_divided : one)(voters, n, out);
    case 2:
      return (divides ? two_divided : two)(voters, n, out);
    case 3:
      return (divides ? three_divided : three)(voters, n, out);
    default:
      return many(voters, divides, n, out);
  }
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
