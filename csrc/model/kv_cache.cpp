#include "model/kv_cache.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lenswright {

KvCache::KvCache(int64_t layers, int64_t rows, int64_t kv_heads, int64_t d_head, int64_t d_value,
                 int64_t slots, const at::TensorOptions& options)
    : slots_(slots) {
  for (int64_t layer = 0; layer < layers; ++layer) {
    k_.push_back(at::zeros({rows, kv_heads, slots, d_head}, options));
    v_.push_back(at::zeros({rows, kv_heads, slots, d_value}, options));
  }
}

void KvCache::extend_to(int64_t used) {
  TORCH_CHECK_VALUE(used <= slots_, "the key-value cache holds ", slots_, " positions, but ", used,
                    " are needed");
  used_ = std::max(used_, used);
}

void KvCache::keep(int64_t used, int64_t slots) {
  TORCH_INTERNAL_ASSERT(used <= used_);
  used_ = used;
  if (slots <= slots_) return;
  slots_ = std::max(slots, 2 * slots_);  // a text that grows is copied seldom
  for (auto* all : {&k_, &v_}) {
    for (at::Tensor& one : *all) {
      at::Tensor larger = at::zeros({one.size(0), one.size(1), slots_, one.size(3)}, one.options());
      larger.narrow(2, 0, used).copy_(one.narrow(2, 0, used));
      one = std::move(larger);
    }
  }
}

void KvCache::repeat(int64_t rows) {
  for (auto* all : {&k_, &v_}) {
    for (at::Tensor& one : *all) one = one.repeat({rows, 1, 1, 1});
  }
}

std::pair<at::Tensor, at::Tensor> KvCache::store(int64_t layer, const at::Tensor& k,
                                                 const at::Tensor& v, const at::Tensor& positions) {
  // [batch, pos] -> [batch, kv_heads, pos, d_head or d_value]
  const at::Tensor places = positions.view({positions.size(0), 1, positions.size(1), 1});
  k_[layer].scatter_(2, places.expand({-1, k.size(1), -1, k.size(3)}), k);
  v_[layer].scatter_(2, places.expand({-1, v.size(1), -1, v.size(3)}), v);
  return {k_[layer].narrow(2, 0, used_), v_[layer].narrow(2, 0, used_)};
}

}  // namespace lenswright
