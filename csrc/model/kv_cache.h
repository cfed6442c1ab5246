#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lenswright {

/// Keys (after rotation) and values of what has been read so far, in tensors made once at full
/// size.
///
/// A row's token at position p stands in slot p, so rows of different lengths need no padding
/// between prompt and continuation.
class KvCache {
 public:
  KvCache(int64_t layers, int64_t rows, int64_t kv_heads, int64_t d_head, int64_t d_value,
          int64_t slots, const at::TensorOptions& options);

  /// Puts k and v [batch, kv_heads, pos, d_head or d_value] of new tokens at positions [batch, pos]
  /// and returns all that has been stored up to the farthest of them.
  std::pair<at::Tensor, at::Tensor> store(int64_t layer, const at::Tensor& k, const at::Tensor& v,
                                          const at::Tensor& positions);

  /// Slots in use once the current tokens are in.
  int64_t used() const { return used_; }
  int64_t slots() const { return slots_; }
  /// Told once per run, before the first layer.
  void extend_to(int64_t used);
  /// Forgets what stands behind the first `used` slots, and has room for at least `slots`.
  void keep(int64_t used, int64_t slots);
  /// Of one row makes so many equal ones.
  void repeat(int64_t rows);

 private:
  std::vector<at::Tensor> k_, v_;  // [batch, kv_heads, slots, d_head or d_value]
  int64_t slots_;
  int64_t used_ = 0;
};

}  // namespace lenswright
