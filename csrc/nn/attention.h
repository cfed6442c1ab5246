#pragma once

#include <ATen/core/Tensor.h>

namespace lenswright {

// Scaled dot-product attention, Vaswani et al. 2017, arXiv:1706.03762, eq. 1, with grouped keys and
// values (Ainslie et al. 2023, arXiv:2305.13245). q [batch, heads, query, d_head]; k and v
// [batch, kv_heads, key, d_head], kv_heads dividing heads; mask [batch or 1, 1, query, key] of
// booleans, true where a query may look, or undefined: all keys up to the query's own.

/// q·k · scale, −∞ where the mask forbids: [batch, heads, query, key].
at::Tensor attention_scores(const at::Tensor& q, const at::Tensor& k, const at::Tensor& mask,
                            double scale);

/// Rows that sum to one. Half types take the softmax in float32.
at::Tensor attention_pattern(const at::Tensor& scores);

/// pattern · v: [batch, heads, query, d_head].
at::Tensor attention_mix(const at::Tensor& pattern, const at::Tensor& v);

/// The three in one, in memory that does not grow with query × key.
at::Tensor attention_fused(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& mask, double scale);

/// The mask "up to the query's own key" for queries that are the last of `keys`: [1, 1, query,
/// key].
at::Tensor causal_mask(int64_t queries, int64_t keys, const at::TensorOptions& options);

}  // namespace lenswright
