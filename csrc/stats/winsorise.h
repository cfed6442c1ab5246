#pragma once

#include <ATen/core/Tensor.h>

namespace lenswright {

/// Each row of values [samples, width] clamped to plus and minus the `share` quantile (linear
/// between ranks) of its own magnitudes: what one sample becomes depends on no other.
at::Tensor winsorised(const at::Tensor& values, double share);

}  // namespace lenswright
