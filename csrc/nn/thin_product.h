#pragma once

#include <ATen/core/Tensor.h>

#include "nn/thin_kernel.h"

namespace lenswright {

/// Products of few rows, as in decoding: at one row torch leaves a part of the memory's bandwidth
/// unused, at sixteen most of the processor, and it widens 16-bit weights slowly or not at all.

/// True where thin_product serves: x [..., inputs] in float32, weight [outputs, inputs] in float32,
/// bfloat16 or float16, its inputs or its outputs neighbours in memory, all on the CPU.
bool thin_serves(const at::Tensor& x, const at::Tensor& weight);

/// x @ weightᵀ + bias, of any number of rows and without a graph; bias [outputs] in float32, or
/// undefined. A row's bytes depend on nothing but that row: neither on the rows beside it nor on
/// threads.
at::Tensor thin_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// The same by a given kernel.
at::Tensor thin_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        const ThinKernel& kernel);

/// How a kernel's lists call a type that thin_serves takes.
ThinType thin_type(at::ScalarType type);

/// For what torch takes this processor for (ATEN_CPU_CAPABILITY says otherwise).
const ThinKernel& thin_kernel();

}  // namespace lenswright
