#pragma once

#include <cstdint>
#include <span>

namespace lenswright {

// Loops over neighbouring numbers, the same bytes on every processor. `out` may be an input.

/// Σ a b, eight sums side by side, added up in a fixed order.
double dot(const double* a, const double* b, int64_t n);
/// Σ |a|.
double sum_abs(const double* a, int64_t n);
/// The largest and the smallest, `start` among them; NaN is neither.
double largest(const double* a, int64_t n, double start);
double smallest(const double* a, int64_t n, double start);
/// The largest that is finite, or 0.
double largest_finite(const double* a, int64_t n);
/// How many are not 0.
int64_t count_nonzero(const double* a, int64_t n);
/// How many are NaN or infinite.
int64_t count_not_finite(const double* a, int64_t n);

/// out = a - b
void subtract(const double* a, const double* b, int64_t n, double* out);
/// out = w a
void scale(double w, const double* a, int64_t n, double* out);
/// out += w a
void add_scaled(double w, const double* a, int64_t n, double* out);
/// out /= d
void divide(double d, int64_t n, double* out);
/// A vote by sign, element by element: the sign of the sum of all votes_i delta_i (positive where
/// that is 0) is elected; `numerator` becomes the sum of the terms weights_i delta_i that have it,
/// `divisor` that of their weights. NaN stays NaN. The outputs are no inputs.
void elect(std::span<const double* const> deltas, std::span<const double> votes,
           std::span<const double> weights, int64_t n, double* numerator, double* divisor);
/// out /= d, element by element; d = 0 counts as 1, and `least` is the least.
void divide_each(const double* d, double least, int64_t n, double* out);
/// out = |a|, with infinity for NaN, so that sizes have an order.
void magnitude(const double* a, int64_t n, double* out);

}  // namespace lenswright
