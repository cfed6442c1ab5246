#include "nn/attention.h"

#include <ATen/ATen.h>

#include <limits>

namespace lenswright {
namespace {

// [batch, kv_heads, ...] seen once per query head, without a copy: [batch, kv_heads, group, ...].
at::Tensor grouped(const at::Tensor& q, int64_t kv_heads) {
  return q.unflatten(1, {kv_heads, q.size(1) / kv_heads});
}

}  // namespace

at::Tensor causal_mask(int64_t queries, int64_t keys, const at::TensorOptions& options) {
  return at::ones({queries, keys}, options.dtype(at::kBool))
      .tril(keys - queries)
      .view({1, 1, queries, keys});
}

at::Tensor attention_scores(const at::Tensor& q, const at::Tensor& k, const at::Tensor& mask,
                            double scale) {
  const at::Tensor raw =
      at::matmul(grouped(q, k.size(1)), k.unsqueeze(2).transpose(-1, -2)).flatten(1, 2) * scale;
  const at::Tensor allowed = mask.defined() ? mask : causal_mask(q.size(2), k.size(2), q.options());
  return raw.masked_fill(allowed.logical_not(), -std::numeric_limits<double>::infinity());
}

at::Tensor attention_pattern(const at::Tensor& scores) {
  const bool half = scores.scalar_type() == at::kBFloat16 || scores.scalar_type() == at::kHalf;
  if (!half) return at::softmax(scores, -1);
  return at::softmax(scores, -1, at::kFloat).to(scores.scalar_type());
}

at::Tensor attention_mix(const at::Tensor& pattern, const at::Tensor& v) {
  return at::matmul(grouped(pattern, v.size(1)), v.unsqueeze(2)).flatten(1, 2);
}

at::Tensor attention_fused(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& mask, double scale) {
  const bool causal = !mask.defined() && q.size(2) > 1;
  std::optional<at::Tensor> given;
  if (mask.defined()) given = mask;
  return at::scaled_dot_product_attention(q, k, v, given, /*dropout_p=*/0.0, causal, scale,
                                          /*enable_gqa=*/k.size(1) != q.size(1));
}

}  // namespace lenswright
