#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/attention.h"

namespace lenswright {

/// A stretch of a row's places that goes on from any place before it, or begins anew. Rows of
/// tokens that begin alike stand in one row so, what they share once.
struct Branch {
  int64_t start = 0, length = 0;  // its own places
  std::vector<int64_t> path;      // all that its last place sees, in order, its own at the end
};
using Branches = std::vector<Branch>;

/// Attention (see nn/attention.h) where every branch sees its path only, by the positions there:
/// [batch, heads, query, d_value]. The branches are alike in all rows and fill them in order.
at::Tensor branch_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const Branches& branches, const AttentionSetting& set);

}  // namespace lenswright
