#pragma once

#include <cstdint>
#include <vector>

namespace lenswright {

/// A tensor as a matrix: all dimensions but the last are rows. A vector is one row.
struct Shape2 {
  int64_t rows = 1, cols = 1;
  static Shape2 of(const std::vector<int64_t>& shape);
  int64_t count() const { return rows * cols; }
};

/// How a pass goes through a tensor.
///
/// elements: from first to last; rows: likewise, every strip one whole row; columns: every tile
/// some columns, every strip a row of them; sample: some thousand short pieces from all over, the
/// same ones every time.
enum class Cut : uint8_t { elements, rows, columns, sample };

/// A run of neighbouring elements.
struct Run {
  int64_t first = 0, count = 0;
};

inline constexpr int64_t kStrip = 512;  // elements, but for rows; all that is worked with in L1

/// The tiles of a tensor and the strips of each.
class Tiling {
 public:
  Tiling(Shape2 shape, Cut cut);

  int64_t tiles() const { return tiles_; }
  /// How far a tile reaches: contiguous but for columns and sample.
  Run tile(int64_t index) const;
  int64_t strips(int64_t tile) const;
  Run strip(int64_t tile, int64_t index) const;
  /// That all tiles have together: not those of the tensor where it is a sample.
  int64_t elements() const;
  /// Elements of the longest strip.
  int64_t longest() const;
  bool contiguous() const { return cut_ == Cut::elements || cut_ == Cut::rows; }

 private:
  Shape2 shape_;
  Cut cut_;
  int64_t step_ = 1;  // elements, rows, columns or pieces of a tile
  int64_t tiles_ = 0;
  int64_t pieces_ = 0;  // of a sample
};

}  // namespace lenswright
