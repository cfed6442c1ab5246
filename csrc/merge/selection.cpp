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
constexpr double kWidth = 8, kWider = 4;

// Ranks that the bracket reaches to each side, in a sample of m.
double margin(double width, double m, double q) { return width * std::sqrt(m * q * (1 - q)) + 64; }

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

Selection::Selection(int64_t count, int64_t k, int64_t tiles, Wanted wanted)
    : count_(count),
      k_(k),
      wanted_(wanted),
      tiles_(static_cast<size_t>(tiles)),
      most_(kInfinity),
      above_least_(count),
      width_(kWidth) {}

uint64_t Selection::held(int64_t count, int64_t sample) {
  const auto m = static_cast<double>(std::max<int64_t>(sample, 1)), n = static_cast<double>(count);
  const double inside = std::min(n, 2 * margin(kWidth, m, 0.5) / m * n);
  // Lists that grow by doubling, and half of them once more while the answer is looked for.
  return static_cast<uint64_t>(8 * (2 * m + 2.5 * inside));
}

uint64_t Selection::inside() const {
  uint64_t count = 0;
  for (const Tile& tile : tiles_) count += tile.inside.size();
  return count;
}

void Selection::guess(std::shared_ptr<std::vector<double>> sample) {
  sample_ = std::move(sample);
  if (!trivial()) bracket();
}

// Around the rank that is looked for, among those of the sample that may be the answer.
void Selection::bracket() {
  const auto from =
      std::partition(sample_->begin(), sample_->end(), [&](double size) { return size <= least_; });
  const auto to =
      std::partition(from, sample_->end(), [&](double size) { return !bounded_ || size < most_; });
  const auto m = static_cast<double>(to - from);
  const double q =
      static_cast<double>(k_ - from_most_) / static_cast<double>(above_least_ - from_most_);
  const auto below = [&](double size) { return size < *around_; };
  const double middle = around_ ? static_cast<double>(std::count_if(from, to, below)) : m * (1 - q);
  const double reach = margin(width_, m, q);
  auto sorted = from;  // all before are less
  const auto at = [&](double place) {
    if (place < 0) return least_;
    if (place >= m) return most_;
    const auto wanted = from + static_cast<ptrdiff_t>(place);
    if (wanted >= sorted) std::nth_element(sorted, wanted, to);
    sorted = std::max(sorted, wanted);
    return *wanted;
  };
  bracket_.low = at(std::floor(middle - reach));
  bracket_.middle = at(std::floor(middle));
  bracket_.high = at(std::ceil(middle + reach));
  bracketed_ = true;
}

// Where the answer lies, from what a pass that missed has counted.
void Selection::learn() {
  int64_t above = 0, from = 0;
  for (const Tile& tile : tiles_) {
    const Bracket::Counts& counts = tile.counts;
    above += counts.above;
    from += counts.above + counts.equal[0] + counts.equal[1] + counts.equal[2] +
            static_cast<int64_t>(tile.inside.size());
  }
  around_.reset();
  if (++misses_ > 1) width_ *= kWider;  // the sample is not like the whole
  if (k_ <= above) {
    least_ = bracket_.high;
    above_least_ = above;
  } else if (k_ > from) {
    most_ = bracket_.low;
    from_most_ = from;
    bounded_ = true;
  } else {
    around_ = bracket_.low;  // and the one after it is below
  }
}

void Selection::read(int64_t index, const double* sizes, int64_t n) {
  if (!bracketed_ || finished_) return;
  Tile& tile = tiles_[static_cast<size_t>(index)];
  std::array<double, kPiece + 8> inside;
  for (int64_t at = 0; at < n; at += kPiece) {
    const int64_t found =
        bracket_.sort(sizes + at, std::min(kPiece, n - at), tile.counts, inside.data());
    tile.inside.insert(tile.inside.end(), inside.begin(), inside.begin() + found);
  }
}

bool Selection::finish() {
  if (trivial()) sample_.reset();
  if (trivial() || finished_) return true;
  const std::optional<Found> found = bracketed_ ? at(k_) : std::nullopt;
  std::optional<double> next;
  if (found) next = wanted_ == Wanted::and_next && k_ + 1 < count_ ? after(*found) : found->size;
  if (next) {
    next_ = *next;
    settle(*found);
    return true;
  }
  if (bracketed_) learn();
  const size_t tiles = tiles_.size();
  tiles_.clear();
  tiles_.resize(tiles);
  bracket();
  return false;
}

// Down from the largest: above, the upper end, between, the middle, between, the lower end.
std::optional<Selection::Found> Selection::at(int64_t rank) const {
  Bracket::Counts all;
  int64_t upper = 0, inside = 0;
  for (const Tile& tile : tiles_) {
    all.above += tile.counts.above;
    for (int i = 0; i < 3; ++i) all.equal[i] += tile.counts.equal[i];
    upper +=
        std::ranges::count_if(tile.inside, [&](double size) { return size > bracket_.middle; });
    inside += static_cast<int64_t>(tile.inside.size());
  }
  rank -= all.above;
  if (rank <= 0) return std::nullopt;
  if (rank <= all.equal[2]) return Found{bracket_.high, rank};
  rank -= all.equal[2];
  if (rank <= upper) return among(true, rank);
  rank -= upper;
  if (rank <= all.equal[1]) return Found{bracket_.middle, rank};
  rank -= all.equal[1];
  if (rank <= inside - upper) return among(false, rank);
  rank -= inside - upper;
  if (rank <= all.equal[0]) return Found{bracket_.low, rank};
  return std::nullopt;
}

std::optional<double> Selection::after(const Found& found) const {
  if (found.next) return found.next;
  const std::optional<Found> next = at(k_ + 1);
  return next ? std::optional(next->size) : std::nullopt;
}

Selection::Found Selection::among(bool upper, int64_t rank) const {
  std::vector<double> all;
  for (const Tile& tile : tiles_) {
    std::ranges::copy_if(tile.inside, std::back_inserter(all),
                         [&](double size) { return (size > bracket_.middle) == upper; });
  }
  const auto place = all.begin() + static_cast<ptrdiff_t>(rank - 1);
  std::nth_element(all.begin(), place, all.end(), std::greater());
  const double value = *place;
  const auto larger = std::count_if(all.begin(), place, [&](double size) { return size > value; });
  Found found{value, rank - larger};
  if (wanted_ == Wanted::and_next && place + 1 != all.end()) {
    found.next = *std::max_element(place + 1, all.end());
  }
  return found;
}

int64_t Selection::equals_in(const Tile& tile) const {
  if (threshold_ == bracket_.low) return tile.counts.equal[0];
  if (threshold_ == bracket_.middle) return tile.counts.equal[1];
  if (threshold_ == bracket_.high) return tile.counts.equal[2];
  return std::ranges::count(tile.inside, threshold_);
}

void Selection::settle(Found found) {
  threshold_ = found.size;
  equals_kept_ = found.among_equals;
  int64_t before = 0;
  for (Tile& tile : tiles_) {
    tile.before = before;
    tile.equals = equals_in(tile);
    before += tile.equals;
    tile.inside = {};
  }
  sample_.reset();
  finished_ = true;
}

bool Selection::splits(int64_t index) const {
  if (trivial()) return false;
  const Tile& tile = tiles_[static_cast<size_t>(index)];
  return tile.before < equals_kept_ && tile.before + tile.equals > equals_kept_;
}

bool Selection::takes_equals(int64_t index) const {
  return tiles_[static_cast<size_t>(index)].before < equals_kept_;
}

void Selection::keep(int64_t index, bool opens, const double* sizes, int64_t n, double* values,
                     bool inside) {
  if (trivial()) {
    if ((k_ <= 0) == inside) std::fill(values, values + n, 0.0);
    return;
  }
  Tile& tile = tiles_[static_cast<size_t>(index)];
  if (!takes_equals(index)) {
    return inside ? zero_up_to(sizes, n, threshold_, values)
                  : zero_above(sizes, n, threshold_, values);
  }
  if (!splits(index)) {
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
