#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lenswright {

/// Sinusoidal positions (Vaswani et al. 2017, arXiv:1706.03762, section 3.5), all sines before all
/// cosines: [count, d] in float64. Frequencies alone are rounded to float32, as rotary ones are.
/// Throws ValueError where d has no room for two of them, the first and the last.
at::Tensor sinusoids(int64_t count, int64_t d);

}  // namespace lenswright
