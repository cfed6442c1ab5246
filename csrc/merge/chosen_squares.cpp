#include "merge/chosen_squares.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/avx512.h"
#include "merge/cut.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

constexpr size_t kClasses = 4;  // beyond the bracket; at its upper end, its middle, its lower end
constexpr int kLanes = 8;
using Lanes = double __attribute__((vector_size(8 * kLanes)));

[[gnu::always_inline]] inline void add_some(const Lanes& x, const Lanes& size, const Bracket& b,
                                            Lanes* sums) {
  const Lanes zero = {}, square = x * x;
  sums[0] += size > b.high ? square : zero;
  sums[1] += size == b.high ? square : zero;
  sums[2] += size == b.middle ? square : zero;
  sums[3] += size == b.low ? square : zero;
}

// Adds Σ x x of the sizes in each class, in eight sums side by side.
LENSWRIGHT_CLONES void add_squares(const double* x, const double* sizes, const Bracket& bracket,
                                   int64_t n, double* out) {
  const Bracket b = bracket;
  Lanes sums[kClasses] = {}, value, size;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    std::memcpy(&value, x + i, sizeof value);
    std::memcpy(&size, sizes + i, sizeof size);
    add_some(value, size, b, sums);
  }
  if (i < n) {  // zeros behind the last
    value = size = Lanes{};
    std::memcpy(&value, x + i, static_cast<size_t>(n - i) * sizeof(double));
    std::memcpy(&size, sizes + i, static_cast<size_t>(n - i) * sizeof(double));
    add_some(value, size, b, sums);
  }
  for (size_t j = 0; j < kClasses; ++j) {
    for (int lane = 0; lane < kLanes; ++lane) out[j] += sums[j][lane];
  }
}

// The places of sizes strictly between two of the bracket's; `places` has room for n + 8.
LENSWRIGHT_PLAIN int64_t between(const double* sizes, const Bracket& bracket, int64_t n,
                                 int32_t* places) {
  const Bracket b = bracket;
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    places[found] = static_cast<int32_t>(i);
    const double size = sizes[i];
    found += (size > b.low) & (size < b.high) & (size != b.middle) ? 1 : 0;
  }
  return found;
}

#ifdef LENSWRIGHT_HAS_CLONES
LENSWRIGHT_V4 int64_t between(const double* sizes, const Bracket& b, int64_t n, int32_t* places) {
  const __m512d low = _mm512_set1_pd(b.low), middle = _mm512_set1_pd(b.middle),
                high = _mm512_set1_pd(b.high);
  __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  int64_t found = 0;
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto there = static_cast<__mmask8>(n - i >= kLanes ? 0xFF : (1 << (n - i)) - 1);
    const __m512d size = _mm512_maskz_loadu_pd(there, sizes + i);
    const __mmask8 above = _mm512_mask_cmp_pd_mask(there, size, low, _CMP_GT_OQ);
    const __mmask8 within = _mm512_mask_cmp_pd_mask(above, size, high, _CMP_LT_OQ);
    const __mmask8 inside = _mm512_mask_cmp_pd_mask(within, size, middle, _CMP_NEQ_OQ);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(places + found),
                        _mm256_maskz_compress_epi32(inside, place));
    found += __builtin_popcount(inside);
    place = _mm256_add_epi32(place, _mm256_set1_epi32(kLanes));
  }
  return found;
}
#endif

}  // namespace

ChosenSquares::ChosenSquares(size_t tiles, size_t vectors) : vectors_(vectors), tiles_(tiles) {
  clear();
}

void ChosenSquares::clear() {
  for (Tile& tile : tiles_) {
    tile = {std::vector<double>(vectors_), std::vector<double>(kClasses * vectors_), {}};
  }
}

void ChosenSquares::read(int64_t index, const Bracket& bracket, const double* sizes,
                         std::span<double* const> vectors, int64_t n) {
  Tile& tile = tiles_[static_cast<size_t>(index)];
  for (size_t i = 0; i < vectors_; ++i) {
    add_squares(vectors[i], sizes, bracket, n, tile.classes.data() + i * kClasses);
  }
  std::array<int32_t, kStrip + kLanes> places;
  const int64_t found = between(sizes, bracket, n, places.data());
  const size_t before = tile.inside.size();
  tile.inside.resize(before + static_cast<size_t>(found) * (vectors_ + 1));
  double* to = tile.inside.data() + before;
  for (int64_t j = 0; j < found; ++j) {
    const int32_t at = places[static_cast<size_t>(j)];
    *to++ = sizes[at];
    for (size_t i = 0; i < vectors_; ++i) *to++ = vectors[i][at] * vectors[i][at];
  }
}

void ChosenSquares::decide(const Selection& selection) {
  for (size_t index = 0; index < tiles_.size(); ++index) {
    Tile& tile = tiles_[index];
    const auto number = static_cast<int64_t>(index);
    if (selection.k() > 0 && !selection.splits(number)) decide(selection, number, tile);
    tile.classes = tile.inside = {};
  }
}

void ChosenSquares::decide(const Selection& selection, int64_t index, Tile& tile) const {
  const double threshold = selection.threshold();
  const bool equals = selection.takes_equals(index);
  const auto chosen = [&](double size) { return equals ? size >= threshold : size > threshold; };
  const Bracket& b = selection.between();
  // Ends that are the same are one class.
  const bool counts[kClasses] = {true, b.high != b.middle && b.high != b.low && chosen(b.high),
                                 b.middle != b.low && chosen(b.middle), chosen(b.low)};
  for (size_t j = 0; j < kClasses; ++j) {
    if (!counts[j]) continue;
    for (size_t i = 0; i < vectors_; ++i) tile.squares[i] += tile.classes[i * kClasses + j];
  }
  for (size_t at = 0; at < tile.inside.size(); at += vectors_ + 1) {
    if (!chosen(tile.inside[at])) continue;
    for (size_t i = 0; i < vectors_; ++i) tile.squares[i] += tile.inside[at + 1 + i];
  }
}

void ChosenSquares::add(int64_t tile, std::span<double* const> vectors, int64_t n) {
  std::vector<double>& squares = tiles_[static_cast<size_t>(tile)].squares;
  for (size_t i = 0; i < vectors_; ++i) squares[i] += dot(vectors[i], vectors[i], n);
}

std::vector<double> ChosenSquares::totals() const {
  std::vector<double> out(vectors_);
  for (const Tile& tile : tiles_) {
    for (size_t i = 0; i < vectors_; ++i) out[i] += tile.squares[i];
  }
  return out;
}

uint64_t ChosenSquares::held(size_t tiles, size_t vectors) {
  return tiles * ((kClasses + 1) * vectors * sizeof(double) + sizeof(Tile));
}

}  // namespace lenswright
