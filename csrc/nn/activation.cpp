#include "nn/activation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nn/activation_kernel.h"
#include "nn/deterministic.h"

namespace lenswright {
namespace {

constexpr int64_t kChunk = 16384;  // numbers a task

at::Tensor whole(const at::Tensor& x, Activation function, double alpha) {
  switch (function) {
    case Activation::relu:
      return at::relu(x);
    case Activation::relu2:
      return at::relu(x).square();
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::gelu_rounded:
      return x * 0.5 * (1.0 + at::tanh(0.79788456 * x * (1.0 + 0.044715 * x * x)));
    case Activation::gelu_quick:
      return x * at::sigmoid(x * alpha);
    case Activation::silu:
      return at::silu(x);
    case Activation::xielu:
      break;
  }
  TORCH_INTERNAL_ASSERT(false, "an activation without weights was expected");
}

bool ours(const at::Tensor& x, Activation function) {
  const bool known = function == Activation::gelu_tanh || function == Activation::silu;
  return known && x.is_cpu() && x.scalar_type() == at::kFloat;
}

void loop(Activation function, const float* x, const float* factor, int64_t count, float* y) {
  if (function == Activation::gelu_tanh) return gelu_tanh(x, count, y);
  factor ? gated_silu(x, factor, count, y) : silu(x, count, y);
}

// `factor` of silu only, or undefined; all dense.
void by_our_loop(at::Tensor to, const at::Tensor& x, const at::Tensor& factor,
                 Activation function) {
  const float* in = x.const_data_ptr<float>();
  const float* by = factor.defined() ? factor.const_data_ptr<float>() : nullptr;
  float* out = to.mutable_data_ptr<float>();
  in_parallel((x.numel() + kChunk - 1) / kChunk, [&](int64_t i) {
    const int64_t start = i * kChunk, count = std::min(kChunk, x.numel() - start);
    loop(function, in + start, by ? by + start : nullptr, count, out + start);
  });
}

}  // namespace

at::Tensor activation(const at::Tensor& x, Activation function, double alpha) {
  if (c10::GradMode::is_enabled() && x.requires_grad()) return whole(x, function, alpha);
  if (ours(x, function)) {
    const at::Tensor from = x.contiguous();
    at::Tensor result = at::empty_like(from);
    by_our_loop(result, from, {}, function);
    return result;
  }
  return elementwise(x, [&](const at::Tensor& chunk) { return whole(chunk, function, alpha); });
}

bool activation_by_number(const at::Tensor& x, Activation function) {
  const bool exact = function == Activation::relu || function == Activation::relu2;
  return exact || ours(x, function);
}

void activation_into(at::Tensor to, const at::Tensor& x, const at::Tensor& factor,
                     Activation function, double alpha) {
  const bool one_pass = !factor.defined() || function == Activation::silu;
  if (ours(x, function) && one_pass) {
    const at::Tensor by = factor.defined() ? factor.contiguous() : factor;
    return by_our_loop(std::move(to), x.contiguous(), by, function);
  }
  const at::Tensor y = activation(x, function, alpha);
  factor.defined() ? at::mul_out(to, y, factor) : to.copy_(y);
}

at::Tensor xielu(const at::Tensor& x, const Xielu& weights) {
  const at::ScalarType type = x.scalar_type();
  const at::Tensor beta = weights.beta.to(type), eps = weights.eps.to(type);
  const at::Tensor right = at::softplus(weights.alpha_p.to(type));
  const at::Tensor left = beta + at::softplus(weights.alpha_n.to(type));
  const auto whole = [&](const at::Tensor& part) {
    const at::Tensor positive = right * part * part + beta * part;
    const at::Tensor negative = (at::expm1(at::minimum(part, eps)) - part) * left + beta * part;
    return at::where(part > 0, positive, negative);
  };
  const bool weights_too = right.requires_grad() || left.requires_grad() || eps.requires_grad();
  const bool graph = c10::GradMode::is_enabled() && (x.requires_grad() || weights_too);
  return graph ? whole(x) : elementwise(x, whole);
}

}  // namespace lenswright
