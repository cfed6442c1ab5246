#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "merge/counted_ranks.h"

namespace lenswright {

/// Twice the ranks of a row of sizes, 0 for the smallest; equal ones share the mean of theirs, so
/// that a rank depends on nothing but the size. In time that grows with the row: by counting where
/// that does, else sizes are sorted by a key of 16 bits that grows with them, then those of one key
/// among themselves.
class Ranking {
 public:
  /// ranks[i] of sizes[i], doubled; sizes are not negative and not NaN, `most` is the largest that
  /// is finite, or 0.
  void rank(const double* sizes, int64_t n, double most, int32_t* ranks);

 private:
  void sort(const double* sizes, int64_t n, double most, int32_t* ranks);
  void sort_by_key();
  void sort_within_keys(const double* sizes);

  CountedRanks counted_;
  std::vector<uint16_t> key_;
  std::vector<int32_t> half_sorted_, order_;
};

/// Gives elements in order of size, the first of which has the rank `lowest`, twice their ranks.
void share_ranks(const double* sizes, std::span<const int32_t> order, int32_t lowest,
                 int32_t* ranks);

}  // namespace lenswright
