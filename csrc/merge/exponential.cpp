#include "merge/exponential.h"

#include <bit>
#include <cstring>

#include "base/clones.h"

namespace lenswright {
namespace {

// Adding it leaves a whole number in the low bits.
constexpr double kWhole = 0x1.8p52;
constexpr double kPerLog = 0x1.71547652b82fep0;  // 1 / ln 2
// ln 2 in two parts, the first short enough that its multiples are exact (Cody and Waite 1980).
constexpr double kLogHigh = 0x1.62e42feep-1, kLogLow = 0x1.a39ef35793c76p-33;
constexpr double kLeast = -708;

// 1 / n! down from 13: the series of exp on |r| <= ln 2 / 2, to 4e-18.
constexpr double kSeries[] = {1.0 / 6227020800,
                              1.0 / 479001600,
                              1.0 / 39916800,
                              1.0 / 3628800,
                              1.0 / 362880,
                              1.0 / 40320,
                              1.0 / 5040,
                              1.0 / 720,
                              1.0 / 120,
                              1.0 / 24,
                              1.0 / 6,
                              0.5,
                              1.0,
                              1.0};

}  // namespace

// exp(x) = 2^k exp(r), r = x - k ln 2.
LENSWRIGHT_CLONES void exponentials(const double* x, double shift, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) {
    const double y = x[i] - shift;
    const double bounded = y < kLeast ? kLeast : y;
    const double whole = bounded * kPerLog + kWhole;
    const double k = whole - kWhole;
    const double r = (bounded - k * kLogHigh) - k * kLogLow;
    double sum = kSeries[0];
    for (int term = 1; term < 14; ++term) sum = sum * r + kSeries[term];
    const double power =
        std::bit_cast<double>((std::bit_cast<uint64_t>(whole) << 52) + (uint64_t{1023} << 52));
    out[i] = y < kLeast ? 0.0 : sum * power;
  }
}

LENSWRIGHT_CLONES void small_exponentials(const double* x, int64_t n, double* out) {
  constexpr int kFirst = 3;  // x^10 / 10! and less: 2e-18 is left out
  for (int64_t i = 0; i < n; ++i) {
    double sum = kSeries[kFirst];
    for (int term = kFirst + 1; term < 14; ++term) sum = sum * x[i] + kSeries[term];
    out[i] = sum;
  }
}

}  // namespace lenswright
