#include "merge/exact_quantiles.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "merge/kernel.h"

namespace lenswright {
ExactQuantiles::ExactQuantiles(int64_t count, const std::vector<double>& quantiles,
                               int64_t sample_tiles, int64_t tiles)
    : count_(count),
      sample_(sample_tiles),
      smallest_by_tile_(static_cast<size_t>(tiles), std::numeric_limits<double>::infinity()) {
  for (const double quantile : quantiles) {
    const double place = quantile * static_cast<double>(count - 1);
    const auto below = static_cast<int64_t>(std::floor(place));
    const bool largest = below + 1 >= count;
    // The (count - k)-th smallest is the k-th largest.
    const int64_t upper = largest ? 1 : count - below - 1;
    places_.push_back({Selection(count, upper, tiles, Selection::Wanted::and_next),
                       place - std::floor(place), largest});
    const Selection& added = places_.back().upper;
    lowest_ = lowest_ || added.trivial() || (!largest && added.k() + 1 == count);
  }
}

void ExactQuantiles::sampled() {
  const auto sample = sample_.take();
  for (Place& place : places_) place.upper.guess(sample);
}

void ExactQuantiles::read(int64_t tile, const double* sizes, int64_t n) {
  if (lowest_) {
    double& smallest = smallest_by_tile_[static_cast<size_t>(tile)];
    smallest = lenswright::smallest(sizes, n, smallest);
  }
  for (Place& place : places_) place.upper.read(tile, sizes, n);
}

bool ExactQuantiles::finish() {
  bool done = true;
  for (Place& place : places_) done = place.upper.finish() && done;
  if (!done) return false;
  if (!smallest_by_tile_.empty()) smallest_ = std::ranges::min(smallest_by_tile_);
  return true;
}

std::vector<double> ExactQuantiles::values() const {
  std::vector<double> out;
  for (const Place& place : places_) {
    const double above = place.upper.trivial() ? smallest_ : place.upper.threshold();
    if (place.largest) {
      out.push_back(above);
      continue;
    }
    const double below = place.upper.k() + 1 == count_ ? smallest_ : place.upper.next();
    out.push_back(place.share == 0 ? below : below + place.share * (above - below));
  }
  return out;
}

}  // namespace lenswright
