#pragma once

#include <cstdint>

namespace lenswright {

// Loops over neighbouring numbers, the same bytes on every processor. `out` may be an input.

/// Σ a b, eight sums side by side, added up in a fixed order.
double dot(const double* a, const double* b, int64_t n);
/// Σ |a|.
double sum_abs(const double* a, int64_t n);
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
/// Takes part in a vote by sign: where the term weight · delta has the sign of `sum` (positive
/// where that is 0), numerator += term and divisor += weight. NaN stays NaN.
void elect(const double* sum, const double* delta, double weight, int64_t n, double* numerator,
           double* divisor);
/// out /= d, element by element; d = 0 counts as 1, and `least` is the least.
void divide_each(const double* d, double least, int64_t n, double* out);
/// out = |a|, with infinity for NaN, so that sizes have an order.
void magnitude(const double* a, int64_t n, double* out);

}  // namespace lenswright
