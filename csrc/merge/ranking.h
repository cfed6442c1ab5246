#pragma once

#include <cstdint>
#include <vector>

#include "merge/counted_ranks.h"

namespace lenswright {

/// Ranks of a row of sizes, 0 for the smallest; of equal ones the first has the highest. In time
/// that grows with the row: by counting where that does, else sizes are sorted by a key of 16 bits
/// that grows with them, then those of one key among themselves.
class Ranking {
 public:
  /// ranks[i] of sizes[i]; sizes are not negative and not NaN.
  void rank(const double* sizes, int64_t n, int32_t* ranks);

 private:
  void sort(const double* sizes, int64_t n, double most, int32_t* ranks);
  void sort_by_key();
  void sort_within_keys(const double* sizes);

  CountedRanks counted_;
  std::vector<uint16_t> key_;
  std::vector<int32_t> half_sorted_, order_;
};

}  // namespace lenswright
