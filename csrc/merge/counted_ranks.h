#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lenswright {

/// Ranks of a row by counting its keys, some thousand equal intervals of size: two visits of every
/// element where a sort by digits takes five. Differences of neighbouring narrow numbers repeat, so
/// that whoever shares a key nearly always shares the size.
class CountedRanks {
 public:
  /// As Ranking::rank; `most`: the largest size that is finite. False where this is not the way:
  /// too few elements or too many, sizes that no float holds, too many different ones of one key.
  bool rank(const double* sizes, int64_t n, double most, int32_t* ranks);

 private:
  bool take_keys(const double* sizes, int64_t n, double most);
  int64_t count(int64_t n, int32_t* ranks);
  void mend(const double* sizes, std::span<const int32_t> odd, int32_t* ranks);

  int64_t bins_ = 0;
  std::vector<uint16_t> keys_, counts_;
  std::vector<uint32_t> bits_, last_;  // of a size as a float; of the last one with a key
  std::vector<int32_t> odd_;           // elements that are not of their key's last size
};

}  // namespace lenswright
