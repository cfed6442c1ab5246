#include "merge/divergence.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/clones.h"
#include "merge/exponential.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSmall = 0.125, kTiny = 0x1p-6;
constexpr int kLanes = 8;
using Lanes = double __attribute__((vector_size(8 * kLanes)));

// 1 / n! down from 12.
constexpr double kSeries[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                              1.0 / 40320,     1.0 / 5040,     1.0 / 720,     1.0 / 120,
                              1.0 / 24,        1.0 / 6,        0.5,           1.0};

struct Tilt {
  double grown = 0, moved = 0;  // Σ e (exp(d) - 1), Σ e exp(d) d
};

// exp(d) - 1 by so many terms of its series.
template <int terms>
[[gnu::always_inline]] inline void add(const Lanes& e, const Lanes& d, Lanes& grown, Lanes& moved) {
  Lanes more = d - d + kSeries[12 - terms];
  for (int term = 13 - terms; term < 12; ++term) more = more * d + kSeries[term];
  const Lanes part = e * (more * d);
  grown += part;
  moved += (e + part) * d;
}

template <int terms>
[[gnu::always_inline]] inline Tilt tilt(const double* e, const double* d, double mean, int64_t n) {
  Lanes grown = {}, moved = {}, weight, gap;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    std::memcpy(&weight, e + i, sizeof weight);
    std::memcpy(&gap, d + i, sizeof gap);
    add<terms>(weight, gap - mean, grown, moved);
  }
  if (i < n) {  // weights of 0 behind the last
    weight = gap = Lanes{};
    std::memcpy(&weight, e + i, static_cast<size_t>(n - i) * sizeof(double));
    std::memcpy(&gap, d + i, static_cast<size_t>(n - i) * sizeof(double));
    add<terms>(weight, gap - mean, grown, moved);
  }
  Tilt out;
  for (int lane = 0; lane < kLanes; ++lane) {
    out.grown += grown[lane];
    out.moved += moved[lane];
  }
  return out;
}

LENSWRIGHT_CLONES void tilt_tiny(const double* e, const double* d, double mean, int64_t n,
                                 Tilt& out) {
  out = tilt<7>(e, d, mean, n);
}

LENSWRIGHT_CLONES void tilt_small(const double* e, const double* d, double mean, int64_t n,
                                  Tilt& out) {
  out = tilt<12>(e, d, mean, n);
}

LENSWRIGHT_CLONES void move(double by, int64_t n, double* x) {
  for (int64_t i = 0; i < n; ++i) x[i] -= by;
}

// log(1 + x): twice the series of artanh at x / (2 + x) where x is small, the same on every
// machine.
double log_of_one_and(double x) {
  if (!(std::abs(x) <= kSmall)) return std::log1p(x);
  const double s = x / (2 + x), square = s * s;
  double sum = 0;
  for (int k = 15; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return 2 * s * sum;
}

// Of rows far apart, where no digits are lost: Σ p (of - from) - (log Σ exp(of) - log Σ exp(from)).
double far_apart(const double* of, const double* from, int64_t n, std::span<double* const> room) {
  const double p_top = largest(of, n, -kInfinity), q_top = largest(from, n, -kInfinity);
  exponentials(from, q_top, n, room[1]);
  const double q_log = std::log(sum_abs(room[1], n));
  exponentials(of, p_top, n, room[0]);
  const double p_sum = sum_abs(room[0], n);
  subtract(of, from, n, room[1]);
  move(p_top + std::log(p_sum) - (q_top + q_log), n, room[1]);
  return dot(room[0], room[1], n) / p_sum;
}

}  // namespace

double divergence(const double* of, const double* from, int64_t n, std::span<double* const> room) {
  double *e = room[0], *d = room[1];
  subtract(of, from, n, d);
  const double top = largest(from, n, -kInfinity), bottom = smallest(from, n, kInfinity);
  if (top <= kSmall && bottom >= -kSmall) {
    small_exponentials(from, n, e);
  } else {
    exponentials(from, top, n, e);
  }
  const double sum = sum_abs(e, n), mean = dot(e, d, n) / sum;
  const double reach = std::max(largest(d, n, -kInfinity) - mean, mean - smallest(d, n, kInfinity));
  if (!(reach <= kSmall)) return far_apart(of, from, n, room);
  Tilt tilted;
  (reach <= kTiny ? tilt_tiny : tilt_small)(e, d, mean, n, tilted);
  return tilted.moved / (sum + tilted.grown) - log_of_one_and(tilted.grown / sum);
}

}  // namespace lenswright
