#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "stats/accumulator.h"
#include "stats/extremes.h"
#include "stats/moments.h"
#include "stats/quantiles.h"

namespace lenswright {

/// The Euclidean norms of the vectors of each cell: moments, the largest and smallest with where
/// they came from, and quantiles.
class Norms : public Accumulator {
 public:
  Norms(int64_t cells, int64_t kept, double error);
  /// From saved parts: those of the three with "moments.", "extremes." and "quantiles." before
  /// them.
  explicit Norms(const State& state);

  void take(const at::Tensor& values, const Samples& samples) override;
  State state() const override;
  /// As if the other's samples had come here, cell by cell.
  void merge(const Norms& other);
  /// A copy of the cells with these indices [n] int64.
  Norms at(const at::Tensor& cells) const;

  const Moments& moments() const { return moments_; }
  const Extremes& extremes() const { return extremes_; }
  const Quantiles& quantiles() const { return quantiles_; }

 private:
  Norms(Moments moments, Extremes extremes, Quantiles quantiles)
      : moments_(std::move(moments)),
        extremes_(std::move(extremes)),
        quantiles_(std::move(quantiles)) {}

  Moments moments_;
  Extremes extremes_;
  Quantiles quantiles_;
};

}  // namespace lenswright
