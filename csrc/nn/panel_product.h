#pragma once

#include <ATen/core/Tensor.h>

#include "nn/panel_kernel.h"

namespace lenswright {

/// x @ weightᵀ + bias, of any number of rows and without a graph, where thin_serves says so; bias
/// [outputs] in float32, or undefined. A row's bytes depend on nothing but that row: neither on the
/// rows beside it, nor on their number, nor on threads.
at::Tensor panel_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// The same by a given kernel.
at::Tensor panel_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                         const PanelKernel& kernel);

/// For what torch takes this processor for (ATEN_CPU_CAPABILITY says otherwise).
const PanelKernel& panel_kernel();

}  // namespace lenswright
