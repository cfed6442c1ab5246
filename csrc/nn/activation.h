#pragma once

#include <ATen/core/Tensor.h>

#include "base/arithmetic.h"

namespace lenswright {

/// relu; gelu (Hendrycks and Gimpel 2016, arXiv:1606.08415) exact or by tanh; silu = x ·
/// sigmoid(x).
at::Tensor activation(const at::Tensor& x, Activation function);

}  // namespace lenswright
