#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/arithmetic.h"

namespace lenswright {

/// Cosines and sines of rotary positions, [batch, pos, 1, dim / 2] each.
struct RopeTable {
  at::Tensor cos, sin;
};

/// Angles position · theta^(-2i/dim) (Su et al. 2021, arXiv:2104.09864, eq. 15).
///
/// The frequencies are made with the float32 operations the checkpoints' authors used and are part
/// of the model; only then are they widened. positions: [batch, pos] int64.
RopeTable rope_table(const at::Tensor& positions, double theta, int64_t dim, at::ScalarType dtype);

/// Rotates x [batch, pos, heads, d_head] in its first `dim` numbers. Pairs are (i, i + dim/2) or,
/// in the adjacent layout, (2i, 2i + 1).
at::Tensor rope(const at::Tensor& x, const RopeTable& table, RopeLayout layout);

}  // namespace lenswright
