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
constexpr double kWidth = 8;

// Ranks that the bracket reaches to each side, in a sample of m.
double margin(double m, double q) { return kWidth * std::sqrt(m * q * (1 - q)) + 64; }

// By a quarter, not twofold as vectors do by themselves.
void append(std::vector<double>& list, const double* from, int64_t n) {
  const size_t size = list.size() + static_cast<size_t>(n);
  if (size > list.capacity()) list.reserve(std::max(size, list.capacity() * 5 / 4));
  list.insert(list.end(), from, from + n);
}

LENSWRIGHT_CLONES double largest_below(const double* sizes, int64_t n, double limit, double found) {
  for (int64_t i = 0; i < n; ++i) {
    const double size = sizes[i] < limit ? sizes[i] : -1.0;
    found = size > found ? size : found;
  }
  return found;
}

}  // namespace

Selection::Selection(int64_t count, int64_t k, int64_t tiles, Wanted wanted)
    : count_(count),
      k_(k),
      wanted_(wanted),
      tiles_(static_cast<size_t>(tiles)),
      most_(kInfinity),
      above_least_(count),
      kept_(std::make_unique<Kept>()) {}

// What a bracket around the middle has between its ends, and a ninth and some more.
int64_t Selection::room_for(int64_t count, int64_t sample) {
  const auto m = static_cast<double>(std::max<int64_t>(sample, 1)), n = static_cast<double>(count);
  const double inside = 2 * margin(m, 0.5) / m * n;
  return static_cast<int64_t>(std::min(n, inside * 10 / 9 + 1024));
}

uint64_t Selection::held(int64_t count, int64_t sample) {
  // The sample, and tile by tile before it is put together; what is kept, in lists that have grown
  // by a quarter, and all of it once more while the answer is looked for.
  const int64_t lists = 2 * sample + room_for(count, sample) * 9 / 4;
  return static_cast<uint64_t>(8 * lists) + Buckets::held();
}

uint64_t Selection::inside() const {
  uint64_t count = 0;
  for (const Tile& tile : tiles_) count += tile.inside.size();
  return count;
}

uint64_t Selection::bytes() const {
  uint64_t lists = sample_ ? sample_->capacity() : 0;
  for (const Tile& tile : tiles_) lists += tile.inside.capacity();
  return 8 * lists + (buckets_ ? Buckets::held() : 0);
}

void Selection::guess(std::shared_ptr<std::vector<double>> sample) {
  sample_ = std::move(sample);
  room_ = room_for(count_, static_cast<int64_t>(sample_->size()));
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
  const double middle = m * (1 - q), reach = margin(m, q);
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
  step_ = Step::sorting;
  begin_pass();
}

void Selection::begin_pass() {
  const size_t tiles = tiles_.size();
  tiles_.clear();
  tiles_.resize(tiles);
  kept_->count = 0;
  kept_->full = false;
}

// Where the answer lies, from what a pass that missed, or had no room, has counted.
void Selection::learn() {
  int64_t above = 0, from = 0;
  for (const Tile& tile : tiles_) {
    const Bracket::Counts& counts = tile.counts;
    above += counts.above;
    from += counts.above + counts.equal[0] + counts.equal[1] + counts.equal[2] + tile.between;
  }
  if (k_ > above && k_ <= from) return count_between(bracket_.low, bracket_.high);
  if (k_ <= above) {
    least_ = bracket_.high;
    above_least_ = above;
  } else {
    most_ = bracket_.low;
    from_most_ = from;
    bounded_ = true;
  }
  if (missed_) return count_between(least_, most_);
  missed_ = true;
  bracket();
}

void Selection::count_between(double low, double high) {
  sample_.reset();
  buckets_ = std::make_unique<Buckets>(std::max(low, 0.0), high);
  step_ = Step::counting;
  begin_pass();
}

// To the piece that has the answer: looked at closely where there is room for all of it.
void Selection::narrow() {
  const Buckets::Piece piece = buckets_->of(k_);
  if (piece.count > room_ && piece.low < piece.high) return count_between(piece.low, piece.high);
  buckets_.reset();
  bracket_ = {piece.low, piece.low, piece.high};
  step_ = Step::sorting;
  begin_pass();
}

void Selection::read(int64_t index, const double* sizes, int64_t n) {
  Tile& tile = tiles_[static_cast<size_t>(index)];
  if (step_ == Step::sorting) sort(tile, sizes, n);
  if (step_ == Step::counting) buckets_->add(sizes, n);
  if (step_ == Step::below) tile.below = largest_below(sizes, n, threshold_, tile.below);
}

void Selection::sort(Tile& tile, const double* sizes, int64_t n) {
  std::array<double, kPiece + 8> inside;
  for (int64_t at = 0; at < n; at += kPiece) {
    const int64_t found =
        bracket_.sort(sizes + at, std::min(kPiece, n - at), tile.counts, inside.data());
    tile.between += found;
    if (found == 0 || kept_->full) continue;
    if (kept_->count.fetch_add(found) + found > room_) {
      kept_->full = true;
    } else {
      append(tile.inside, inside.data(), found);
    }
  }
}

bool Selection::finish() {
  if (trivial()) sample_.reset();
  if (trivial() || step_ == Step::finished) return true;
  if (step_ == Step::below) {
    for (const Tile& tile : tiles_) next_ = std::max(next_, tile.below);
    step_ = Step::finished;
    return true;
  }
  if (step_ == Step::counting) return narrow(), false;
  if (step_ == Step::sampled) return bracket(), false;
  const std::optional<Found> found = kept_->full ? std::nullopt : at(k_);
  if (found) return settle(*found);
  return learn(), false;
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
  const auto wanted = [&](double size) { return (size > bracket_.middle) == upper; };
  int64_t count = 0;
  for (const Tile& tile : tiles_) count += std::ranges::count_if(tile.inside, wanted);
  std::vector<double> all;
  all.reserve(static_cast<size_t>(count));
  for (const Tile& tile : tiles_) {
    std::ranges::copy_if(tile.inside, std::back_inserter(all), wanted);
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

}  // namespace lenswright
