#pragma once

#include <ATen/core/Tensor.h>

#include "base/arithmetic.h"

namespace lenswright {

/// The mask "up to the query's own key" for queries that are the last of `keys`: [1, 1, query,
/// key].
at::Tensor causal_mask(int64_t queries, int64_t keys, const at::TensorOptions& options);

/// A mask that also keeps to a layer's window and chunk; undefined where nothing is cut off beyond
/// an undefined `mask`. Positions [batch or 1, query] and [batch or 1, key], the queries' being the
/// last of the keys' where the mask is undefined.
at::Tensor within_sight(const at::Tensor& mask, const at::Tensor& query_positions,
                        const at::Tensor& key_positions, const AttentionRule& rule);

/// slopes [heads] times the distance of key positions [batch or 1, key] from `origin` [batch or 1]
/// (undefined: 0): [batch or 1, heads, 1, key].
at::Tensor alibi_bias(const at::Tensor& slopes, const at::Tensor& key_positions,
                      const at::Tensor& origin);

}  // namespace lenswright
