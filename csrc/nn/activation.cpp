#include "nn/activation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nn/deterministic.h"

namespace lenswright {
namespace {

at::Tensor whole(const at::Tensor& x, Activation function) {
  switch (function) {
    case Activation::relu:
      return at::relu(x);
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::silu:
      return at::silu(x);
  }
  TORCH_INTERNAL_ASSERT(false, "unknown activation");
}

}  // namespace

at::Tensor activation(const at::Tensor& x, Activation function) {
  const bool graph = c10::GradMode::is_enabled() && x.requires_grad();
  if (!deterministic() || graph) return whole(x, function);
  return by_chunks(x, [&](const at::Tensor& chunk) { return whole(chunk, function); });
}

}  // namespace lenswright
