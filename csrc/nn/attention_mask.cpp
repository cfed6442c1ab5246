#include "nn/attention_mask.h"

#include <ATen/ATen.h>

namespace lenswright {

at::Tensor causal_mask(int64_t queries, int64_t keys, const at::TensorOptions& options) {
  return at::ones({queries, keys}, options.dtype(at::kBool))
      .tril(keys - queries)
      .view({1, 1, queries, keys});
}

namespace {

// One chunk for all: it cuts nothing off.
bool in_one_chunk(const at::Tensor& a, const at::Tensor& b, int64_t chunk) {
  const int64_t low = at::minimum(a.min(), b.min()).item<int64_t>();
  const int64_t high = at::maximum(a.max(), b.max()).item<int64_t>();
  return low / chunk == high / chunk;
}

}  // namespace

at::Tensor within_sight(const at::Tensor& mask, const at::Tensor& query_positions,
                        const at::Tensor& key_positions, const AttentionRule& rule) {
  const int64_t keys = key_positions.size(1);
  // No query is farther from a key than there are keys.
  const bool windowed = rule.window > 0 && rule.window < keys;
  const bool chunked = rule.chunk > 0 && !in_one_chunk(query_positions, key_positions, rule.chunk);
  if (!windowed && !chunked) return mask;
  const at::Tensor q = query_positions.unsqueeze(1).unsqueeze(-1);  // [batch, 1, query, 1]
  const at::Tensor k = key_positions.unsqueeze(1).unsqueeze(2);     // [batch, 1, 1, key]
  at::Tensor seen =
      mask.defined() ? mask : causal_mask(query_positions.size(1), keys, query_positions.options());
  if (windowed) seen = seen.logical_and(q - k < rule.window);
  if (chunked) {
    seen = seen.logical_and(at::floor_divide(q, rule.chunk) == at::floor_divide(k, rule.chunk));
  }
  return seen;
}

at::Tensor alibi_bias(const at::Tensor& slopes, const at::Tensor& key_positions,
                      const at::Tensor& origin) {
  const at::Tensor from =
      origin.defined() ? key_positions - origin.unsqueeze(-1) : key_positions;  // [batch, key]
  return slopes.view({1, -1, 1, 1}) * from.to(slopes.scalar_type()).unsqueeze(1).unsqueeze(2);
}

}  // namespace lenswright
