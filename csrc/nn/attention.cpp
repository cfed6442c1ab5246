#include "nn/attention.h"

#include <ATen/ATen.h>

#include <limits>

#include "nn/attention_mask.h"

namespace lenswright {
namespace {

constexpr double kForbidden = -std::numeric_limits<double>::infinity();
constexpr double kLowest = std::numeric_limits<float>::lowest();

// [batch, kv_heads, ...] seen once per query head, without a copy: [batch, kv_heads, group, ...].
at::Tensor grouped(const at::Tensor& q, int64_t kv_heads) {
  return q.unflatten(1, {kv_heads, q.size(1) / kv_heads});
}

bool is_half(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
}

// Scores with the sink's logit behind them, and the softmax of that: [..., key + 1].
at::Tensor with_sink(const at::Tensor& scores, const at::Tensor& sinks) {
  const at::Tensor column = sinks.to(scores.scalar_type())
                                .view({1, -1, 1, 1})
                                .expand({scores.size(0), -1, scores.size(2), 1});
  const at::Tensor all = at::cat({scores, column}, -1);
  return is_half(scores) ? at::softmax(all, -1, at::kFloat) : at::softmax(all, -1);
}

at::Tensor allowed_by(const AttentionSetting& set, const at::Tensor& q, const at::Tensor& k) {
  return set.mask.defined() ? set.mask : causal_mask(q.size(2), k.size(2), q.options());
}

}  // namespace

at::Tensor attention_scores(const at::Tensor& q, const at::Tensor& k, const AttentionSetting& set) {
  at::Tensor raw =
      at::matmul(grouped(q, k.size(1)), k.unsqueeze(2).transpose(-1, -2)).flatten(1, 2) *
      set.rule.scale;
  if (set.rule.softcap > 0.0) raw = at::tanh(raw / set.rule.softcap) * set.rule.softcap;
  if (set.bias.defined()) raw = raw + set.bias.to(raw.scalar_type());
  return raw.masked_fill(allowed_by(set, q, k).logical_not(), kForbidden);
}

at::Tensor attention_pattern(const at::Tensor& scores, const at::Tensor& sinks) {
  if (sinks.defined()) {
    return with_sink(scores, sinks).narrow(-1, 0, scores.size(-1)).to(scores.scalar_type());
  }
  if (!is_half(scores)) return at::softmax(scores, -1);
  return at::softmax(scores, -1, at::kFloat).to(scores.scalar_type());
}

at::Tensor sink_mass(const at::Tensor& scores, const at::Tensor& sinks) {
  return with_sink(scores, sinks).select(-1, scores.size(-1)).to(scores.scalar_type());
}

at::Tensor attention_mix(const at::Tensor& pattern, const at::Tensor& v) {
  return at::matmul(grouped(pattern, v.size(1)), v.unsqueeze(2)).flatten(1, 2);
}

at::Tensor attention_fused(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const AttentionSetting& set) {
  if (!set.plain()) {
    return attention_mix(attention_pattern(attention_scores(q, k, set), set.sinks), v);
  }
  // ATen's "causal" counts from the first key, ours ends with the last.
  const bool square = q.size(2) == k.size(2), open = !set.mask.defined() && !set.bias.defined();
  const bool causal = open && square && q.size(2) > 1;
  std::optional<at::Tensor> given;
  if (set.bias.defined()) {
    at::Tensor bias = set.bias.masked_fill(allowed_by(set, q, k).logical_not(), kForbidden);
    // A 16-bit type holds few digits of a large number. A softmax does not see what its row shares,
    // so the keys that count most get a bias near 0.
    if (is_half(q)) bias = bias - bias.amax(-1, true).clamp_min(kLowest);
    given = bias.to(q.scalar_type());
  } else if (set.mask.defined() || (!square && q.size(2) > 1)) {
    given = allowed_by(set, q, k);
  }
  return at::scaled_dot_product_attention(q, k, v, given, /*dropout_p=*/0.0, causal, set.rule.scale,
                                          /*enable_gqa=*/k.size(1) != q.size(1));
}

}  // namespace lenswright
