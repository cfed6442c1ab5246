#include "nn/norm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nn/deterministic.h"

namespace lenswright {
namespace {

bool is_half(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
}

at::Tensor wide(const at::Tensor& x) { return is_half(x) ? x.to(at::kFloat) : x; }

at::Tensor as(const at::Tensor& tensor, const at::Tensor& x) {
  return tensor.defined() ? tensor.to(x.scalar_type()) : tensor;
}

at::Tensor whole_norm(const at::Tensor& x, NormKind kind, double eps,
                      const at::Tensor& gain, const at::Tensor& bias) {
  if (kind == NormKind::layer) {
    return at::layer_norm(x, {x.size(-1)}, as(gain, x), as(bias, x), eps);
  }
  const at::Tensor y = wide(x);
  const at::Tensor scaled = y * at::rsqrt(y.square().mean(-1, true) + eps);
  return norm_gain(scaled.to(x.scalar_type()), gain, bias);
}

}  // namespace

at::Tensor norm(const at::Tensor& x, NormKind kind, double eps, const at::Tensor& gain,
                const at::Tensor& bias) {
  const auto run = [&](const at::Tensor& rows) {
    return whole_norm(rows, kind, eps, gain, bias);
  };
  const bool graph = c10::GradMode::is_enabled() && (x.requires_grad() || gain.requires_grad());
  return deterministic() && !graph ? by_row_blocks(x, run) : run(x);
}

at::Tensor norm_scale(const at::Tensor& x, NormKind kind, double eps) {
  at::Tensor y = wide(x);
  if (kind == NormKind::layer) y = y - y.mean(-1, true);
  return at::sqrt(y.square().mean(-1, true) + eps);
}

at::Tensor norm_normalized(const at::Tensor& x, const at::Tensor& scale, NormKind kind) {
  at::Tensor y = wide(x);
  if (kind == NormKind::layer) y = y - y.mean(-1, true);
  return (y / scale).to(x.scalar_type());
}

at::Tensor norm_gain(const at::Tensor& normalized, const at::Tensor& gain, const at::Tensor& bias) {
  at::Tensor y = normalized * as(gain, normalized);
  return bias.defined() ? y + as(bias, y) : y;
}

}  // namespace lenswright
