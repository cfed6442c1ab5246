#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lenswright {

/// The places of one row of the batch that are real, among the queries and the keys of a run.
struct RowSpan {
  int64_t query = 0, queries = 0, key = 0, keys = 0;
};
using RowSpans = std::vector<RowSpan>;

// Attention (see nn/attention.h) one row of the batch at a time and nothing but its real places:
// the same bytes in any batch. A row's queries are the last of its keys. Padding gets −∞, 0 and 0.

at::Tensor row_scores(const at::Tensor& q, const at::Tensor& k, const RowSpans& spans,
                      double scale);
at::Tensor row_pattern(const at::Tensor& scores, const RowSpans& spans);
at::Tensor row_mix(const at::Tensor& pattern, const at::Tensor& v, const RowSpans& spans);

/// The three in one: [batch, heads, query, d_head]. Where loops of our own cannot be used
/// (gradients, half types, other devices) it is the three.
at::Tensor row_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const RowSpans& spans, double scale);

}  // namespace lenswright
