#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/arithmetic.h"

namespace lenswright {

/// Cosines and sines of rotary positions, [batch, pos, 1, dim / 2] each.
struct RopeTable {
  at::Tensor cos, sin;
};

/// positions: [batch, pos] int64; lengths: [batch] int64, positions up to each row's last (they
/// matter to frequencies that depend on it).
RopeTable rope_table(const at::Tensor& positions, const at::Tensor& lengths, const Rope& rope,
                     at::ScalarType dtype);

/// Rotates x [batch, pos, heads, d_head] in `dim` of its numbers, from `start` on.
at::Tensor rotated(const at::Tensor& x, const RopeTable& table, const Rope& rope);

}  // namespace lenswright
