#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/attention.h"

namespace lenswright {

/// The places of one row of the batch that are real, among the queries and the keys of a run.
struct RowSpan {
  int64_t query = 0, queries = 0, key = 0, keys = 0;
};
using RowSpans = std::vector<RowSpan>;

/// One row's own setting: it sees its keys from 0 on, its queries being the last of them.
AttentionSetting row_setting(const AttentionSetting& set, const RowSpan& span,
                             const at::TensorOptions& options);

// Attention (see nn/attention.h) one row of the batch at a time and nothing but its real places:
// the same bytes in any batch. A row's queries are the last of its keys. Padding gets −∞, 0 and 0.

at::Tensor row_scores(const at::Tensor& q, const at::Tensor& k, const RowSpans& spans,
                      const AttentionSetting& set);
at::Tensor row_pattern(const at::Tensor& scores, const RowSpans& spans, const at::Tensor& sinks);
at::Tensor row_sink_mass(const at::Tensor& scores, const RowSpans& spans, const at::Tensor& sinks);
at::Tensor row_mix(const at::Tensor& pattern, const at::Tensor& v, const RowSpans& spans);

/// The three in one: [batch, heads, query, d_value]. Where loops of our own cannot be used
/// (autograd, 16-bit types, other devices) it is those three.
at::Tensor row_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const RowSpans& spans, const AttentionSetting& set);

}  // namespace lenswright
