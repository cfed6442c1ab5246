#pragma once

#include <ATen/core/Tensor.h>

#include "base/arithmetic.h"

namespace lenswright {

/// Angles a position, [dim / 2] or, where they depend on how long a row is, [batch, dim / 2].
///
/// Made with the float32 operations the checkpoints' authors used: these roundings are part of the
/// model. lengths: [batch] int64, positions up to each row's last.
at::Tensor rope_frequencies(const Rope& rope, const at::Tensor& lengths);

}  // namespace lenswright
