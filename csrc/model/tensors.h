#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "io/checkpoint.h"

namespace lenswright {

/// torch's type for a stored one; nullopt where torch has none.
std::optional<at::ScalarType> scalar_type(Dtype dtype);
/// The stored type for torch's; throws ValueError where the format has none.
Dtype stored_type(at::ScalarType type);

/// A stored tensor over the private map of its shard: no copy, except where the file places it
/// unaligned, which is legal there and not here.
at::Tensor mapped_tensor(const Checkpoint& checkpoint, const TensorInfo& info);

}  // namespace lenswright
