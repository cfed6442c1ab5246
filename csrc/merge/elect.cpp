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
};

// All in one loop, so that what is found for one element never leaves the registers.
template <size_t models>
[[gnu::always_inline]] inline void together(const Voters& voters, int64_t n, double* numerator,
                                            double* divisor) {
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
    numerator[i] = top;
    divisor[i] = bottom;
  }
}

LENSWRIGHT_CLONES void one(const Voters& v, int64_t n, double* numerator, double* divisor) {
  together<1>(v, n, numerator, divisor);
}

LENSWRIGHT_CLONES void two(const Voters& v, int64_t n, double* numerator, double* divisor) {
  together<2>(v, n, numerator, divisor);
}

LENSWRIGHT_CLONES void three(const Voters& v, int64_t n, double* numerator, double* divisor) {
  together<3>(v, n, numerator, divisor);
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

// A piece at a time, its sum in a small room.
void many(const Voters& v, int64_t n, double* numerator, double* divisor) {
  constexpr int64_t kPiece = 512;
  std::array<double, kPiece> sum;
  for (int64_t at = 0; at < n; at += kPiece) {
    const int64_t piece = std::min(kPiece, n - at);
    scale(v.votes[0], v.deltas[0] + at, piece, sum.data());
    for (size_t m = 1; m < v.count; ++m) {
      add_scaled(v.votes[m], v.deltas[m] + at, piece, sum.data());
    }
    std::fill_n(numerator + at, piece, 0.0);
    std::fill_n(divisor + at, piece, 0.0);
    for (size_t m = 0; m < v.count; ++m) {
      add_share(sum.data(), v.deltas[m] + at, v.weights[m], piece, numerator + at, divisor + at);
    }
  }
}

}  // namespace

void elect(std::span<const double* const> deltas, std::span<const double> votes,
           std::span<const double> weights, int64_t n, double* numerator, double* divisor) {
  const Voters voters{deltas.data(), votes.data(), weights.data(), deltas.size()};
  switch (deltas.size()) {
    case 1:
      return one(voters, n, numerator, divisor);
    case 2:
      return two(voters, n, numerator, divisor);
    case 3:
      return three(voters, n, numerator, divisor);
    default:
      return many(voters, n, numerator, divisor);
  }
}

}  // namespace lenswright
