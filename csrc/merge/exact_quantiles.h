#pragma once

#include <cstdint>
#include <vector>

#include "merge/sample.h"
#include "merge/selection.h"

namespace lenswright {

/// Exact quantiles of a stream of sizes that is given a few times over, straight lines between
/// neighbouring ranks (as NumPy's default).
class ExactQuantiles {
 public:
  ExactQuantiles(int64_t count, const std::vector<double>& quantiles, int64_t sample_tiles,
                 int64_t tiles);

  void sample(int64_t tile, const double* sizes, int64_t n) { sample_.add(tile, sizes, n); }
  void sampled();
  void read(int64_t tile, const double* sizes, int64_t n);
  /// False: read everything again.
  bool finish();
  /// In the order asked for.
  std::vector<double> values() const;

 private:
  struct Place {
    Selection upper;  // and the rank below it
    double share;     // of the upper
    bool largest;     // the upper is all there is
  };
  int64_t count_;
  std::vector<Place> places_;
  Sample sample_;
  bool lowest_ = false;  // whether a place asks for the smallest of all
  double smallest_ = 0;  // a rank that Selection has no choice about
  std::vector<double> smallest_by_tile_;
};

}  // namespace lenswright
