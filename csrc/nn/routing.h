#pragma once

#include <ATen/core/Tensor.h>

#include "base/arithmetic.h"

namespace lenswright {

/// The experts of each token and what their outputs are multiplied with: [..., chosen] each.
struct Chosen {
  at::Tensor indices, weights;
};

/// Chooses experts by their router's logits [..., experts]. correction [experts], which may be
/// undefined, acts on the choice and not on the weights. Half types are computed in float32.
Chosen choose_experts(const at::Tensor& logits, const Routing& routing,
                      const at::Tensor& correction);

}  // namespace lenswright
