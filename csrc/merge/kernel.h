#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace lenswright {

// Loops over neighbouring numbers, the same bytes on every processor. `out` may be an input.

/// Σ a b, eight sums side by side, added up in a fixed order.
double dot(const double* a, const double* b, int64_t n);
/// Σ a a, Σ a b and Σ b b, each as dot() has it.
void dots(const double* a, const double* b, int64_t n, double* out);
/// The same of a - base and b - base.
void delta_dots(const double* base, const double* a, const double* b, int64_t n, double* out);
/// Σ |a|.
double sum_abs(const double* a, int64_t n);
/// The largest and the smallest, `start` among them; NaN is neither.
double largest(const double* a, int64_t n, double start);
double smallest(const double* a, int64_t n, double start);
/// How many are not 0.
int64_t count_nonzero(const double* a, int64_t n);
/// How many numbers, as narrow() writes them, are NaN or infinite.
int64_t count_not_finite(Dtype dtype, const std::byte* bytes, int64_t n);

/// out = a - b
void subtract(const double* a, const double* b, int64_t n, double* out);
/// out = Σ w x, from the first on
void weighted_sum(std::span<const double* const> x, std::span<const double> w, int64_t n,
                  double* out);
/// out = Σ w (x - base), from the first on, + base
void add_deltas(const double* base, std::span<const double* const> x, std::span<const double> w,
                int64_t n, double* out);
/// out = w a
void scale(double w, const double* a, int64_t n, double* out);
/// out += w a
void add_scaled(double w, const double* a, int64_t n, double* out);
/// out /= d
void divide(double d, int64_t n, double* out);
/// A vote by sign, element by element: the sign of the sum of all votes_i delta_i (positive where
/// that is 0) is elected; `out` becomes the sum of the terms weights_i delta_i that have it. NaN
/// stays NaN. `out` is no input.
void elect(std::span<const double* const> deltas, std::span<const double> votes,
           std::span<const double> weights, int64_t n, double* out);
/// The same, times 1 / the sum of the weights of those terms; 0 counts as 1, `least` is the least.
void elect_mean(std::span<const double* const> deltas, std::span<const double> votes,
                std::span<const double> weights, double least, int64_t n, double* out);
/// out = |a|, with infinity for NaN, so that sizes have an order; the largest finite one, or 0.
double magnitude(const double* a, int64_t n, double* out);

}  // namespace lenswright
