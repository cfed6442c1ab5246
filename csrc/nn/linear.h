#pragma once

#include <ATen/core/Tensor.h>

namespace lenswright {

/// x @ weightᵀ + bias: x [..., in], weight [out, in] with any strides, bias [out] or undefined.
///
/// Where the weight's type is not x's, it is widened tile by tile inside the product and never
/// stands in memory as a whole; where a gradient with respect to it is wanted, as a whole.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace lenswright
