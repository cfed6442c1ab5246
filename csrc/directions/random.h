#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lenswright {

/// Directions uniform on the sphere: [count, width] float64 of unit length. Row i depends on
/// (seed, i) alone, so that a larger null contains a smaller one.
at::Tensor random_directions(int64_t count, int64_t width, uint64_t seed);

}  // namespace lenswright
