#include "nn/norm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nn/deterministic.h"
#include "nn/norm_kernel.h"

namespace lenswright {
namespace {

bool is_half(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
}

at::Tensor wide(const at::Tensor& x) { return is_half(x) ? x.to(at::kFloat) : x; }

at::Tensor as(const at::Tensor& tensor, const at::Tensor& x) {
  return tensor.defined() ? tensor.to(x.scalar_type()) : tensor;
}

// Each row by itself, whatever stands beside it.
template <typename T>
at::Tensor rms_rows(const at::Tensor& x, double eps) {
  const at::Tensor rows = x.contiguous();
  at::Tensor result = at::empty_like(rows);
  const int64_t width = x.size(-1), count = rows.numel() / std::max<int64_t>(1, width);
  const T* from = rows.const_data_ptr<T>();
  T* to = result.mutable_data_ptr<T>();
  in_parallel((count + kBlockRows - 1) / kBlockRows, [&](int64_t block) {
    const int64_t end = std::min(count, (block + 1) * kBlockRows);
    for (int64_t row = block * kBlockRows; row < end; ++row) {
      rms_row(from + row * width, width, eps, to + row * width);
    }
  });
  return result;
}

at::Tensor rms_scaled(const at::Tensor& x, double eps) {
  const bool graph = c10::GradMode::is_enabled() && x.requires_grad();
  if (!deterministic() || graph || !x.is_cpu()) {
    return x * at::rsqrt(x.square().mean(-1, true) + eps);
  }
  return x.scalar_type() == at::kDouble ? rms_rows<double>(x, eps) : rms_rows<float>(x, eps);
}

}  // namespace

at::Tensor norm(const at::Tensor& x, NormKind kind, double eps, const at::Tensor& gain,
                const at::Tensor& bias) {
  // ATen's layer norm takes one row at a time as it is.
  if (kind == NormKind::layer) {
    return at::layer_norm(x, {x.size(-1)}, as(gain, x), as(bias, x), eps);
  }
  return norm_gain(rms_scaled(wide(x), eps).to(x.scalar_type()), gain, bias);
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
