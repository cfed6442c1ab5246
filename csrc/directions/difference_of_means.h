#pragma once

#include <ATen/core/Tensor.h>

#include "stats/moments.h"

namespace lenswright {

/// The samples of one class in two halves, a cell a position.
struct Halves {
  Moments first, second;
  Moments all() const;
};

/// Difference of the means of two classes, a row a position; float64.
struct MeanDifference {
  at::Tensor raw;             // [positions, width] mean of positive - mean of negative
  at::Tensor unit;            // raw / norm; zeros where the norm is zero
  at::Tensor norm;            // [positions]
  at::Tensor standard_error;  // [positions] sqrt(sum_j(var+_j / n+ + var-_j / n-)): how far, as a
                              // distance, raw is expected to lie from the true difference
  at::Tensor split_cosine;  // [positions] cosine of the differences of the first and second halves;
                            // NaN where a half is empty or its difference zero
  at::Tensor separation;  // [positions] norm / sqrt((s+ + s-) / 2), s the variance along unit with
                          // the coordinates taken as uncorrelated: sum_j unit_j^2 var_j
};

/// Needs moments with squares of equal shape; classes without samples are a ValueError.
MeanDifference difference_of_means(const Halves& positive, const Halves& negative);

}  // namespace lenswright
