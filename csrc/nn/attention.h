#pragma once

#include <ATen/core/Tensor.h>

#include "base/arithmetic.h"

namespace lenswright {

// Scaled dot-product attention, Vaswani et al. 2017, arXiv:1706.03762, eq. 1, with grouped keys and
// values (Ainslie et al. 2023, arXiv:2305.13245). q [batch, heads, query, d_head]; k and v
// [batch, kv_heads, key, d_head or d_value], kv_heads dividing heads.

/// What one layer's attention is told besides queries, keys and values.
struct AttentionSetting {
  AttentionRule rule;
  at::Tensor mask;    // [batch or 1, 1, query, key] of booleans, true where a query may look;
                      // undefined: all keys up to the query's own
  at::Tensor bias;    // [batch or 1, heads, 1, key], added to the scores; may be undefined
  at::Tensor sinks;   // [heads], logits that take part in the softmax; may be undefined
  at::Tensor slopes;  // [heads], what `bias` was made of
  bool from_end = false;

  bool plain() const { return rule.softcap == 0.0 && !sinks.defined(); }
};

/// q·k · scale, capped, biased, −∞ where the mask forbids: [batch, heads, query, key].
at::Tensor attention_scores(const at::Tensor& q, const at::Tensor& k, const AttentionSetting& set);

/// Rows that sum to one, or with the sink to one. Half types take the softmax in float32.
at::Tensor attention_pattern(const at::Tensor& scores, const at::Tensor& sinks);

/// What the sinks take of each row: [batch, heads, query].
at::Tensor sink_mass(const at::Tensor& scores, const at::Tensor& sinks);

/// pattern · v: [batch, heads, query, d_value].
at::Tensor attention_mix(const at::Tensor& pattern, const at::Tensor& v);

/// The three in one; in memory that does not grow with query × key where the setting is plain.
at::Tensor attention_fused(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const AttentionSetting& set);

}  // namespace lenswright
