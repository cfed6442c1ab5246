#include "merge/selection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "base/clones.h"

namespace lenswright {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kPiece = 512;

LENSWRIGHT_CLONES int64_t count_above(const double* sizes, int64_t n, double limit) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) count += sizes[i] > limit ? 1 : 0;
  return count;
}

// Without branches: every size is written, and stays where the next one does not take its place.
int64_t gather(const double* sizes, int64_t n, double low, double high, double* out) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    out[found] = sizes[i];
    found += (sizes[i] >= low) & (sizes[i] <= high) ? 1 : 0;
  }
  return found;
}

LENSWRIGHT_CLONES void zero_below(const double* sizes, int64_t n, double limit, double* values) {
  for (int64_t i = 0; i < n; ++i) values[i] = sizes[i] < limit ? 0.0 : values[i];
}

LENSWRIGHT_CLONES void zero_up_to(const double* sizes, int64_t n, double limit, double* values) {
  for (int64_t i = 0; i < n; ++i) values[i] = sizes[i] <= limit ? 0.0 : values[i];
}

LENSWRIGHT_CLONES void zero_from(const double* sizes, int64_t n, double limit, double* values) {
  for (int64_t i = 0; i < n; ++i) values[i] = sizes[i] >= limit ? 0.0 : values[i];
}

LENSWRIGHT_CLONES void zero_above(const double* sizes, int64_t n, double limit, double* values) {
  for (int64_t i = 0; i < n; ++i) values[i] = sizes[i] > limit ? 0.0 : values[i];
}

}  // namespace

Selection::Selection(int64_t count, int64_t k, int64_t tiles)
    : count_(count), k_(k), tiles_(trivial() ? 0 : static_cast<size_t>(tiles)) {}

void Selection::guess(std::span<const double> sorted) {
  if (trivial()) return;
  const auto m = static_cast<double>(sorted.size());
  const double q = static_cast<double>(k_) / static_cast<double>(count_);
  const double middle = m * (1 - q), margin = width_ * std::sqrt(m * q * (1 - q)) + 64;
  const auto at = [&](double place, double below, double above) {
    if (place < 0) return below;
    return place >= m ? above : sorted[static_cast<size_t>(place)];
  };
  low_ = at(std::floor(middle - margin), -1, kInfinity);
  middle_ = at(std::floor(middle), -1, kInfinity);
  high_ = at(std::ceil(middle + margin), -1, kInfinity);
  if (!bracketed_) sample_.assign(sorted.begin(), sorted.end());
  bracketed_ = true;
}

void Selection::read(int64_t index, const double* sizes, int64_t n) {
  if (trivial() || finished_) return;
  Tile& tile = tiles_[static_cast<size_t>(index)];
  std::array<double, kPiece> inside;
  for (int64_t at = 0; at < n; at += kPiece) {
    const int64_t piece = std::min(kPiece, n - at);
    tile.above += count_above(sizes + at, piece, high_);
    const int64_t found = gather(sizes + at, piece, low_, high_, inside.data());
    for (int64_t i = 0; i < found; ++i) {
      const double size = inside[static_cast<size_t>(i)];
      if (size == low_) {
        ++tile.equal[0];
      } else if (size == middle_) {
        ++tile.equal[1];
      } else if (size == high_) {
        ++tile.equal[2];
      } else {
        (size < middle_ ? tile.lower : tile.upper).push_back(size);
      }
    }
  }
}

bool Selection::finish() {
  if (trivial() || finished_) return true;
  int64_t above = 0, equal[3] = {0, 0, 0}, upper = 0, lower = 0;
  for (const Tile& tile : tiles_) {
    above += tile.above;
    for (int i = 0; i < 3; ++i) equal[i] += tile.equal[i];
    upper += static_cast<int64_t>(tile.upper.size());
    lower += static_cast<int64_t>(tile.lower.size());
  }
  finished_ = settle(above, equal, upper, lower);
  if (finished_) {
    sample_.clear();
    return true;
  }
  const size_t tiles = tiles_.size();
  tiles_.clear();
  tiles_.resize(tiles);
  width_ *= 16;
  const std::vector<double> sample = std::move(sample_);
  sample_ = sample;
  guess(sample);
  return false;
}

// Down from the largest: above, the upper end, between, the middle, between, the lower end.
bool Selection::settle(int64_t above, const int64_t equal[3], int64_t upper, int64_t lower) {
  int64_t rank = k_ - above;  // among what follows, from 1
  if (rank <= 0) return false;
  const auto among = [&](std::vector<double> Tile::*list) {
    std::vector<double> all;
    for (const Tile& tile : tiles_) {
      all.insert(all.end(), (tile.*list).begin(), (tile.*list).end());
    }
    const auto place = all.begin() + static_cast<ptrdiff_t>(rank - 1);
    std::nth_element(all.begin(), place, all.end(), std::greater());
    const double value = *place;
    const auto larger =
        std::count_if(all.begin(), all.end(), [&](double size) { return size > value; });
    found(value, rank - larger);
    return true;
  };
  if (rank <= equal[2]) return found(high_, rank), true;
  rank -= equal[2];
  if (rank <= upper) return among(&Tile::upper);
  rank -= upper;
  if (rank <= equal[1]) return found(middle_, rank), true;
  rank -= equal[1];
  if (rank <= lower) return among(&Tile::lower);
  rank -= lower;
  if (rank <= equal[0]) return found(low_, rank), true;
  return false;
}

void Selection::found(double threshold, int64_t rank_among_equals) {
  threshold_ = threshold;
  equals_kept_ = rank_among_equals;
  int64_t before = 0;
  for (Tile& tile : tiles_) {
    int64_t here = std::count(tile.lower.begin(), tile.lower.end(), threshold) +
                   std::count(tile.upper.begin(), tile.upper.end(), threshold);
    if (threshold == low_) {
      here += tile.equal[0];
    } else if (threshold == middle_) {
      here += tile.equal[1];
    } else if (threshold == high_) {
      here += tile.equal[2];
    }
    tile.lower = {};
    tile.upper = {};
    tile.before = before;
    tile.above = here;  // from now on: equals in this tile
    before += here;
  }
}

void Selection::keep(int64_t index, bool opens, const double* sizes, int64_t n, double* values,
                     bool inside) {
  if (trivial()) {
    if ((k_ <= 0) == inside) std::fill(values, values + n, 0.0);
    return;
  }
  Tile& tile = tiles_[static_cast<size_t>(index)];
  if (tile.before >= equals_kept_) {
    return inside ? zero_up_to(sizes, n, threshold_, values)
                  : zero_above(sizes, n, threshold_, values);
  }
  if (tile.before + tile.above <= equals_kept_) {
    return inside ? zero_below(sizes, n, threshold_, values)
                  : zero_from(sizes, n, threshold_, values);
  }
  if (opens) tile.passed = 0;
  for (int64_t i = 0; i < n; ++i) {
    const bool equal = sizes[i] == threshold_;
    const bool chosen =
        sizes[i] > threshold_ || (equal && tile.before + tile.passed < equals_kept_);
    tile.passed += equal ? 1 : 0;
    if (chosen != inside) values[i] = 0;
  }
}

}  // namespace lenswright
