#include <algorithm>
#include <optional>

#include "base/clones.h"
#include "merge/selection.h"

namespace lenswright {
namespace {

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

int64_t Selection::equals_in(const Tile& tile) const {
  if (threshold_ == bracket_.low) return tile.counts.equal[0];
  if (threshold_ == bracket_.middle) return tile.counts.equal[1];
  if (threshold_ == bracket_.high) return tile.counts.equal[2];
  return std::ranges::count(tile.inside, threshold_);
}

// Whether that was the last pass.
bool Selection::settle(Found found) {
  const bool ends = wanted_ == Wanted::one || k_ + 1 >= count_;
  const std::optional<double> next = ends ? found.size : after(found);
  next_ = next.value_or(-1);
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
  step_ = next ? Step::finished : Step::below;
  return next.has_value();
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
