#pragma once

#include <cstdint>
#include <span>

namespace lenswright {

/// Variance of the population of some numbers, element by element: infinity for NaN. `mean` is room
/// of n.
void variances(std::span<double* const> x, int64_t n, double* mean, double* out);

}  // namespace lenswright
