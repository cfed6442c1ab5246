#include "merge/buckets.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace lenswright {
namespace {

uint64_t bits(double size) { return std::bit_cast<uint64_t>(size + 0.0); }  // one zero

}  // namespace

Buckets::Buckets(double low, double high)
    : low_(bits(low)), high_(bits(high)), step_((high_ - low_) / kPieces + 1), counts_(kPieces) {}

void Buckets::add(const double* sizes, int64_t n) {
  int64_t above = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t size = bits(sizes[i]);
    above += size > high_ ? 1 : 0;
    if (size < low_ || size > high_) continue;
    counts_[(size - low_) / step_].fetch_add(1, std::memory_order_relaxed);
  }
  above_.fetch_add(above, std::memory_order_relaxed);
}

Buckets::Piece Buckets::of(int64_t rank) const {
  int64_t left = rank - above_.load();
  for (uint64_t piece = kPieces; piece-- > 0;) {
    const int64_t count = counts_[piece].load();
    if (left > count) {
      left -= count;
      continue;
    }
    const uint64_t low = low_ + piece * step_;
    return {std::bit_cast<double>(low), std::bit_cast<double>(std::min(high_, low + (step_ - 1))),
            count};
  }
  throw std::logic_error("a rank that lies outside its range");
}

uint64_t Buckets::held() { return sizeof(Buckets) + kPieces * sizeof(std::atomic<int64_t>); }

}  // namespace lenswright
