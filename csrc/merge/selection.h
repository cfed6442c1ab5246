#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lenswright {

/// The elements of rank below k of a stream of sizes, which is given a few times over in the same
/// tiles: the k largest, and of equal ones those that come first.
///
/// A sorted sample gives a bracket around the k-th largest; one pass counts what lies above it and
/// keeps what lies inside; the answer is exact whatever the sample was. Where the bracket missed,
/// another pass takes a wider one. Sizes are not negative and not NaN (infinity is allowed).
class Selection {
 public:
  /// `tiles` of the passes over all elements.
  Selection(int64_t count, int64_t k, int64_t tiles);

  int64_t k() const { return k_; }
  /// Whether k leaves a choice at all: 0 < k < count.
  bool trivial() const { return k_ <= 0 || k_ >= count_; }

  /// The bracket, from a sorted sample (ascending).
  void guess(std::span<const double> sorted);
  /// One more strip of a pass over all elements; the strips of a tile in order.
  void read(int64_t tile, const double* sizes, int64_t n);
  /// After the pass; false: the bracket missed and was widened, read everything again.
  bool finish();

  /// The size of rank k - 1, once finished.
  double threshold() const { return threshold_; }
  /// Sets values[i] to 0 where sizes[i] is not among the chosen (`inside` false: where it is). For
  /// the strips of a tile in order, `opens` being its first.
  void keep(int64_t tile, bool opens, const double* sizes, int64_t n, double* values, bool inside);

 private:
  struct Tile {
    int64_t above = 0;                 // beyond the bracket; once finished: equal to the threshold
    int64_t equal[3] = {0, 0, 0};      // to its lower end, its middle, its upper end
    std::vector<double> lower, upper;  // strictly between them
    int64_t passed = 0;                // equals to the threshold that keep() has seen
    int64_t before = 0;                // equals in the tiles before
  };
  bool settle(int64_t above, const int64_t equal[3], int64_t upper, int64_t lower);
  void found(double threshold, int64_t rank_among_equals);

  int64_t count_, k_;
  std::vector<Tile> tiles_;
  std::vector<double> sample_;
  double width_ = 12;  // of the bracket, in standard deviations of the sample's rank
  double low_ = 0, middle_ = 0, high_ = 0;
  bool bracketed_ = false;
  double threshold_ = 0;
  int64_t equals_kept_ = 0;
  bool finished_ = false;
};

}  // namespace lenswright
