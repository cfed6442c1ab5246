#include "merge/cut.h"

#include <algorithm>
#include <cmath>

namespace lenswright {
namespace {

constexpr int64_t kTile = 1 << 16;  // elements; fixed, so that sums by tile are
constexpr int64_t kColumns = 512;   // of a tile of columns
constexpr int64_t kPiece = 32;      // elements of a piece of a sample
constexpr int64_t kPieces = 64;     // of a sample, at least
constexpr int64_t kMostPieces = 65536;
constexpr int64_t kPiecesOfTile = 256;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A number in [0, below) that looks random (the finaliser of splitmix64, Steele et al. 2014).
int64_t scatter(uint64_t x, int64_t below) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return static_cast<int64_t>((x ^ x >> 31) % static_cast<uint64_t>(below));
}

}  // namespace

Shape2 Shape2::of(const std::vector<int64_t>& shape) {
  Shape2 out;
  if (shape.empty()) return out;
  out.cols = shape.back();
  for (size_t i = 0; i + 1 < shape.size(); ++i) out.rows *= shape[i];
  return out;
}

Tiling::Tiling(Shape2 shape, Cut cut) : shape_(shape), cut_(cut) {
  const int64_t count = shape.count();
  if (count == 0) return;
  if (cut == Cut::elements) {
    step_ = kTile;
    tiles_ = ceil_div(count, kTile);
  } else if (cut == Cut::rows) {
    step_ = std::max<int64_t>(1, kTile / shape.cols);
    tiles_ = ceil_div(shape.rows, step_);
  } else if (cut == Cut::columns) {
    step_ = kColumns;
    tiles_ = ceil_div(shape.cols, step_);
  } else {
    // A read for each piece against handling what lies between two guesses, which is as count over
    // the root of their number: about (count / 128)^(2/3) of them cost least.
    const double root = std::cbrt(static_cast<double>(count) / 128);
    pieces_ = std::clamp(static_cast<int64_t>(root * root), kPieces, kMostPieces);
    if (count <= pieces_ * kPiece) pieces_ = ceil_div(count, kPiece);
    step_ = kPiecesOfTile;
    tiles_ = ceil_div(pieces_, step_);
  }
}

Run Tiling::tile(int64_t index) const {
  const int64_t first = index * step_;
  if (cut_ == Cut::elements) return {first, std::min(step_, shape_.count() - first)};
  if (cut_ == Cut::rows) {
    return {first * shape_.cols, std::min(step_, shape_.rows - first) * shape_.cols};
  }
  return {0, shape_.count()};
}

int64_t Tiling::strips(int64_t tile) const {
  const int64_t first = tile * step_;
  switch (cut_) {
    case Cut::elements:
      return ceil_div(std::min(step_, shape_.count() - first), kStrip);
    case Cut::rows:
      return std::min(step_, shape_.rows - first);
    case Cut::columns:
      return shape_.rows;
    case Cut::sample:
      return std::min(step_, pieces_ - first);
  }
  return 0;
}

Run Tiling::strip(int64_t tile, int64_t index) const {
  const int64_t first = tile * step_;
  switch (cut_) {
    case Cut::elements: {
      const int64_t at = first + index * kStrip;
      return {at, std::min({kStrip, shape_.count() - at, first + step_ - at})};
    }
    case Cut::rows:
      return {(first + index) * shape_.cols, shape_.cols};
    case Cut::columns:
      return {index * shape_.cols + first, std::min(step_, shape_.cols - first)};
    case Cut::sample: {
      const int64_t piece = first + index, count = shape_.count();
      const int64_t begin = count / pieces_ * piece + count % pieces_ * piece / pieces_;
      const int64_t next = piece + 1;
      const int64_t end = count / pieces_ * next + count % pieces_ * next / pieces_;
      const int64_t free = std::max<int64_t>(1, end - begin - kPiece + 1);
      const int64_t at = begin + scatter(static_cast<uint64_t>(piece), free);
      return {at, std::min(kPiece, end - at)};
    }
  }
  return {};
}

int64_t Tiling::elements() const {
  return cut_ == Cut::sample ? std::min(pieces_ * kPiece, shape_.count()) : shape_.count();
}

int64_t Tiling::longest() const {
  switch (cut_) {
    case Cut::elements:
      return std::min(kStrip, shape_.count());
    case Cut::rows:
      return shape_.cols;
    case Cut::columns:
      return std::min(kColumns, shape_.cols);
    case Cut::sample:
      return kPiece;
  }
  return 0;
}

}  // namespace lenswright
