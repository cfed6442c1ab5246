#include "nn/norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "nn/norm_kernel.h"

namespace lenswright {
namespace {

constexpr int64_t kNormGrain = 1 << 15;  // numbers that are worth a thread

bool is_half(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
}

at::Tensor wide(const at::Tensor& x) { return is_half(x) ? x.to(at::kFloat) : x; }

at::Tensor as(const at::Tensor& tensor, const at::Tensor& x) {
  return tensor.defined() ? tensor.to(x.scalar_type()) : tensor;
}

// Each row by itself, whatever stands beside it.
template <typename T>
at::Tensor rms_rows(const at::Tensor& x, double eps, const at::Tensor& gain) {
  const at::Tensor rows = x.contiguous();
  at::Tensor result = at::empty_like(rows);
  const int64_t width = std::max<int64_t>(1, x.size(-1));
  const T* from = rows.const_data_ptr<T>();
  const T* by = gain.defined() ? gain.const_data_ptr<T>() : nullptr;
  T* to = result.mutable_data_ptr<T>();
  const int64_t grain = std::max<int64_t>(1, kNormGrain / width);
  at::parallel_for(0, rows.numel() / width, grain, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      rms_row(from + row * width, width, eps, by, to + row * width);
    }
  });
  return result;
}

// Where the kernel serves; autograd and other devices have ATen.
bool by_rows(const at::Tensor& x) {
  return x.is_cpu() && !(c10::GradMode::is_enabled() && x.requires_grad());
}

at::Tensor rms_scaled(const at::Tensor& x, double eps, const at::Tensor& gain = {}) {
  if (!by_rows(x)) return x * at::rsqrt(x.square().mean(-1, true) + eps);
  return x.scalar_type() == at::kDouble ? rms_rows<double>(x, eps, gain)
                                        : rms_rows<float>(x, eps, gain);
}

// The normalised x, wide, with gain and bias, in the type of the computation.
at::Tensor gained(const at::Tensor& normalized, at::ScalarType type, const Norm& rule,
                  const at::Tensor& gain, const at::Tensor& bias) {
  at::Tensor y = rule.wide_gain ? wide(normalized) : normalized.to(type);
  if (gain.defined()) {
    const at::Tensor g = as(gain, y);
    y = y * (rule.offset == 0.0 ? g : g + rule.offset);
  }
  if (bias.defined()) y = y + as(bias, y);
  return y.to(type);
}

}  // namespace

at::Tensor norm(const at::Tensor& x, const Norm& rule, const at::Tensor& gain,
                const at::Tensor& bias) {
  if (rule.kind == NormKind::layer) {
    // ATen's layer norm takes one row at a time as it is.
    const bool simple = rule.offset == 0.0 && (!gain.defined() || gain.dim() == 1);
    if (simple) return at::layer_norm(x, {x.size(-1)}, as(gain, x), as(bias, x), rule.eps);
    const at::Tensor normalized = at::layer_norm(wide(x), {x.size(-1)}, {}, {}, rule.eps);
    return gained(normalized, x.scalar_type(), rule, gain, bias);
  }
  // In one pass where that rounds as two would.
  const bool graph = c10::GradMode::is_enabled() && gain.defined() && gain.requires_grad();
  const bool once = gain.defined() && gain.dim() == 1 && !bias.defined() && !is_half(x) && !graph;
  if (once && by_rows(x)) {
    const at::Tensor g = as(gain, x);
    return rms_scaled(x, rule.eps, (rule.offset == 0.0 ? g : g + rule.offset).contiguous());
  }
  return gained(rms_scaled(wide(x), rule.eps), x.scalar_type(), rule, gain, bias);
}

at::Tensor norm_scale(const at::Tensor& x, const Norm& rule) {
  at::Tensor y = wide(x);
  if (rule.kind == NormKind::layer) y = y - y.mean(-1, true);
  return at::sqrt(y.square().mean(-1, true) + rule.eps);
}

at::Tensor norm_normalized(const at::Tensor& x, const at::Tensor& scale, const Norm& rule) {
  at::Tensor y = wide(x);
  if (rule.kind == NormKind::layer) y = y - y.mean(-1, true);
  return (y / scale).to(x.scalar_type());
}

at::Tensor norm_gain(const at::Tensor& normalized, const Norm& rule, const at::Tensor& gain,
                     const at::Tensor& bias) {
  return gained(normalized, normalized.scalar_type(), rule, gain, bias);
}

}  // namespace lenswright
