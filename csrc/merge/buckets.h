#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace lenswright {

/// How many sizes lie in each of some thousand equal pieces of a range of floating-point numbers,
/// as many representable ones in each: the bits of numbers that are not negative are in their order
/// (IEEE 754-2019, section 3.4), so a piece of a piece of ... is a single number after six passes.
class Buckets {
 public:
  /// low and high are of the range; neither is negative.
  Buckets(double low, double high);

  /// Any thread at any time.
  void add(const double* sizes, int64_t n);

  struct Piece {
    double low = 0, high = 0;  // both of it
    int64_t count = 0;         // of sizes
  };
  /// Where the rank-th largest size lies, from 1; it must lie in the range.
  Piece of(int64_t rank) const;

  static uint64_t held();

 private:
  static constexpr uint64_t kPieces = 4096;
  uint64_t low_, high_;  // bits
  uint64_t step_;
  std::atomic<int64_t> above_{0};  // beyond the range
  std::vector<std::atomic<int64_t>> counts_;
};

}  // namespace lenswright
