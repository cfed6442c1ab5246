#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "merge/selection.h"

namespace lenswright {

/// Exact quantiles of a stream of sizes that is given a few times over, straight lines between
/// neighbouring ranks (as NumPy's default).
class Quantiles {
 public:
  Quantiles(int64_t count, std::vector<double> quantiles, int64_t sample_tiles, int64_t tiles);

  void sample(int64_t tile, const double* sizes, int64_t n);
  void sampled();
  void read(int64_t tile, const double* sizes, int64_t n);
  /// False: read everything again.
  bool finish();
  /// In the order asked for.
  std::vector<double> values() const;

 private:
  struct Place {
    size_t below, above;  // of ranks_
    double share;         // of the one above
  };
  int64_t count_;
  std::vector<Place> places_;
  std::vector<Selection> ranks_;
  std::vector<std::vector<double>> samples_;
  double smallest_ = 0;  // a rank that Selection has no choice about
  std::vector<double> smallest_by_tile_;
};

}  // namespace lenswright
