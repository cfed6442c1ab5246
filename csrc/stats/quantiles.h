#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "stats/accumulator.h"

namespace lenswright {

/// Counts of values in buckets that grow geometrically, coordinate by coordinate and cell by cell:
/// DDSketch (Masson, Rim and Lee, VLDB 2019). A quantile is right to `error` of its own size, and
/// to kSmallest where it is smaller than that. Counts are whole numbers, so that neither the order
/// of samples nor that of merging changes a byte. Memory follows the span of magnitudes, not the
/// number of samples.
class Quantiles : public Accumulator {
 public:
  static constexpr double kSmallest = 1e-9;  // smaller magnitudes count as zero

  Quantiles(int64_t cells, int64_t width, double error);
  /// From saved parts: error [] float64, zero [cells, width] int32, and for each sign counts
  /// [buckets, cells, width] int32 with the first bucket's number [] int64.
  explicit Quantiles(const State& state);

  void take(const at::Tensor& values, const Samples& samples) override;
  State state() const override;
  /// As if the other's samples had come here; both must promise the same error.
  void merge(const Quantiles& other);
  /// A copy of the cells with these indices [n] int64.
  Quantiles at(const at::Tensor& cells) const;

  int64_t cells() const { return zero_.size(0); }
  int64_t width() const { return zero_.size(1); }
  double error() const { return error_; }
  /// Samples of each coordinate [cells, width] int64.
  at::Tensor count() const;
  /// The value below which a share `q` of the samples lies, of rank floor(q (n - 1)) from the
  /// smallest: [cells, width] float64, NaN where there is no sample.
  at::Tensor quantile(double q) const;

 private:
  // One sign's counts: bucket i holds kSmallest * growth^(i - 1) < |x| <= kSmallest * growth^i.
  struct Side {
    at::Tensor counts;  // [buckets, cells, width]
    int64_t first = 0;  // number of the first bucket
    void reach(int64_t low, int64_t high);
    Side trimmed() const;  // without empty buckets at either end: the same for any batches
  };
  void reach(const double* values, int64_t count);
  int64_t bucket(double magnitude) const;
  at::Tensor middle(const Side& side) const;

  double error_, growth_;
  at::Tensor zero_;
  Side negative_, positive_;
  int64_t taken_ = 0;  // samples of all cells
};

}  // namespace lenswright
