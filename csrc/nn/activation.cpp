#include "nn/activation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nn/activation_kernel.h"
#include "nn/deterministic.h"

namespace lenswright {
namespace {

constexpr int64_t kChunk = 16384;  // numbers a task

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

at::Tensor by_our_loop(const at::Tensor& x) {
  const at::Tensor from = x.contiguous();
  at::Tensor result = at::empty_like(from);
  const float* in = from.const_data_ptr<float>();
  float* out = result.mutable_data_ptr<float>();
  in_parallel((from.numel() + kChunk - 1) / kChunk, [&](int64_t i) {
    const int64_t start = i * kChunk;
    gelu_tanh(in + start, std::min(kChunk, from.numel() - start), out + start);
  });
  return result;
}

}  // namespace

at::Tensor activation(const at::Tensor& x, Activation function) {
  if (c10::GradMode::is_enabled() && x.requires_grad()) return whole(x, function);
  const bool ours =
      function == Activation::gelu_tanh && x.is_cpu() && x.scalar_type() == at::kFloat;
  if (ours) return by_our_loop(x);
  if (!deterministic()) return whole(x, function);
  return by_chunks(x, [&](const at::Tensor& chunk) { return whole(chunk, function); });
}

}  // namespace lenswright
