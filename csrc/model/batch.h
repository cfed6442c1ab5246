#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/attention_branches.h"

namespace lenswright {

enum class Side : uint8_t { right, left };

/// Where a stretch of tokens goes on from (a place before it, or -1), and how long it is.
struct Fork {
  int64_t after = -1, length = 0;
};

/// Rows of tokens of different lengths in one rectangle. Padding lies on one side; what stands in
/// padded places has no meaning and reaches no real position.
class Batch {
 public:
  /// tokens [batch, pos] int64; lengths: real tokens of each row, or empty when every place is
  /// real.
  Batch(at::Tensor tokens, std::vector<int64_t> lengths, Side side);

  /// Rows [batch, pos] that branch, all of them alike: their places are these stretches, one after
  /// the other, and each sees only itself and what it goes on from.
  Batch(at::Tensor tokens, const std::vector<Fork>& forks);

  const at::Tensor& tokens() const { return tokens_; }
  const std::vector<int64_t>& lengths() const { return lengths_; }
  Side side() const { return side_; }
  int64_t rows() const { return tokens_.size(0); }
  int64_t width() const { return tokens_.size(1); }
  bool ragged() const { return ragged_; }
  /// Empty where a place sees all before it.
  const Branches& branches() const { return branches_; }

  /// First real place of a row.
  int64_t start(int64_t row) const { return side_ == Side::left ? width() - lengths_[row] : 0; }
  /// Position of every place within its row, 0 in padding before it: [batch, pos] int64.
  at::Tensor positions() const;
  /// Last real place of every row: [batch] int64.
  at::Tensor last() const;
  /// Undefined where "up to the query's own key" says it all; otherwise [batch, 1, query, key].
  at::Tensor mask() const;

 private:
  at::Tensor tokens_;
  std::vector<int64_t> lengths_;
  Side side_;
  bool ragged_;
  Branches branches_;
};

}  // namespace lenswright
