#include "nn/attention_branches.h"

#include <ATen/ATen.h>

#include "nn/attention_rows.h"
#include "nn/deterministic.h"

namespace lenswright {

at::Tensor branch_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const Branches& branches, const AttentionSetting& set) {
  std::vector<at::Tensor> parts;
  for (const Branch& branch : branches) {
    const auto keys = static_cast<int64_t>(branch.path.size());
    const at::Tensor path = at::tensor(branch.path, at::kLong).to(k.device());
    const at::Tensor own_q = q.narrow(2, branch.start, branch.length);
    const at::Tensor own_k = k.index_select(2, path), own_v = v.index_select(2, path);
    const RowSpan span{0, branch.length, 0, keys};
    if (q.is_cpu()) {
      const RowSpans spans(static_cast<size_t>(q.size(0)), span);
      parts.push_back(row_attention(own_q, own_k, own_v, spans, set));
    } else {
      parts.push_back(attention_fused(own_q, own_k, own_v, row_setting(set, span, q.options())));
    }
  }
  return at::cat(parts, 2);
}

}  // namespace lenswright
