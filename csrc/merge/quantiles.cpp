#include "merge/quantiles.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lenswright {

Quantiles::Quantiles(int64_t count, std::vector<double> quantiles, int64_t sample_tiles,
                     int64_t tiles)
    : count_(count),
      samples_(static_cast<size_t>(sample_tiles)),
      smallest_by_tile_(static_cast<size_t>(tiles), std::numeric_limits<double>::infinity()) {
  for (const double quantile : quantiles) {
    const double place = quantile * static_cast<double>(count - 1);
    const auto below = static_cast<int64_t>(std::floor(place));
    places_.push_back({ranks_.size(), ranks_.size() + 1, place - std::floor(place)});
    // The (count - k)-th smallest is the k-th largest.
    ranks_.emplace_back(count, count - below, tiles);
    ranks_.emplace_back(count, count - std::min(below + 1, count - 1), tiles);
  }
}

void Quantiles::sample(int64_t tile, const double* sizes, int64_t n) {
  auto& sample = samples_[static_cast<size_t>(tile)];
  sample.insert(sample.end(), sizes, sizes + n);
}

void Quantiles::sampled() {
  std::vector<double> sorted;
  for (const auto& tile : samples_) sorted.insert(sorted.end(), tile.begin(), tile.end());
  std::ranges::sort(sorted);
  for (Selection& rank : ranks_) rank.guess(sorted);
  samples_ = {};
}

void Quantiles::read(int64_t tile, const double* sizes, int64_t n) {
  double& smallest = smallest_by_tile_[static_cast<size_t>(tile)];
  for (int64_t i = 0; i < n; ++i) smallest = std::min(smallest, sizes[i]);
  for (Selection& rank : ranks_) rank.read(tile, sizes, n);
}

bool Quantiles::finish() {
  bool done = true;
  for (Selection& rank : ranks_) done = rank.finish() && done;
  if (!done) return false;
  if (!smallest_by_tile_.empty()) smallest_ = std::ranges::min(smallest_by_tile_);
  return true;
}

std::vector<double> Quantiles::values() const {
  std::vector<double> out;
  const auto value = [&](size_t rank) {
    return ranks_[rank].k() >= count_ ? smallest_ : ranks_[rank].threshold();
  };
  for (const Place& place : places_) {
    const double below = value(place.below), above = value(place.above);
    out.push_back(place.share == 0 ? below : below + place.share * (above - below));
  }
  return out;
}

}  // namespace lenswright
