#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lenswright {

/// Labels shuffled: [count, n] bool with `positives` true in each row, every arrangement equally
/// likely. Row i depends on (seed, i) alone, so that a larger null contains a smaller one.
at::Tensor label_permutations(int64_t n, int64_t positives, int64_t count, uint64_t seed);

}  // namespace lenswright
