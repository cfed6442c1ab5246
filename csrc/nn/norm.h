#pragma once

#include <ATen/core/Tensor.h>

#include "base/arithmetic.h"

namespace lenswright {

/// Layer norm: Ba et al. 2016, arXiv:1607.06450, eq. 3. RMS norm: Zhang and Sennrich 2019,
/// arXiv:1910.07467, eq. 4. Half types are computed in float32, as the checkpoints' authors did.
/// Gain and bias may be undefined; a gain of [heads, d_head] belongs to x [..., heads, d_head].
at::Tensor norm(const at::Tensor& x, const Norm& rule, const at::Tensor& gain,
                const at::Tensor& bias);

at::Tensor norm_scale(const at::Tensor& x, const Norm& rule);
at::Tensor norm_normalized(const at::Tensor& x, const at::Tensor& scale, const Norm& rule);
at::Tensor norm_gain(const at::Tensor& normalized, const Norm& rule, const at::Tensor& gain,
                     const at::Tensor& bias);

}  // namespace lenswright
