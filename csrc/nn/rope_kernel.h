#pragma once

#include <cstdint>

#include "base/arithmetic.h"

namespace lenswright {

/// The turned part of one position's heads: pairs of x by the position's cosines and sines, each
/// product and sum rounded by itself, as whole tensors would be. Between one head and the next lie
/// `x_stride` and `y_stride` numbers.
template <typename T>
struct TurnedHeads {
  const T* x;
  T* y;
  const T *cos, *sin;  // [half]
  int64_t heads, half;
  int64_t x_stride, y_stride;
};

void turn_heads(const TurnedHeads<float>& work, RopeLayout layout);
void turn_heads(const TurnedHeads<double>& work, RopeLayout layout);

}  // namespace lenswright
