#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lenswright {

/// Ranks of a row by counting its keys: sizes as whole numbers of a unit, a power of two. One visit
/// of every element, and one look at a table, where a sort by digits takes five visits. Differences
/// of neighbouring narrow numbers are such whole numbers nearly all; the few that lie between two
/// are sorted.
class CountedRanks {
 public:
  /// As Ranking::rank. False where this is not the way: too few elements or too many, too many that
  /// are no whole numbers.
  bool rank(const double* sizes, int64_t n, double most, int32_t* ranks);

 private:
  int64_t take_keys(const double* sizes, int64_t n, double most);
  void count(int64_t n);
  template <class Visit>
  void visit_odd(const Visit& visit) const;

  int64_t bins_ = 0;
  std::vector<uint16_t> keys_;
  std::vector<uint16_t> table_;  // of each key, the rank of its whole number; then, how often it is
  std::vector<int32_t> all_odd_;
  std::span<int32_t> odd_;  // elements between two numbers, in order of size
};

}  // namespace lenswright
