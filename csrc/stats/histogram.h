#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "stats/accumulator.h"

namespace lenswright {

/// How many components of the vectors of a cell, all coordinates together, lie in each bin.
class Histogram : public Accumulator {
 public:
  /// `edges` [bins + 1] float64 ascend; a bin holds its left edge, the last one its right edge too.
  Histogram(int64_t cells, const at::Tensor& edges);
  /// From saved parts: edges, and counts [cells, bins + 2] int64 (below the first edge, the bins,
  /// above the last).
  explicit Histogram(const State& state);

  void take(const at::Tensor& values, const Samples& samples) override;
  State state() const override;
  /// As if the other's samples had come here; both must have the same edges.
  void merge(const Histogram& other);
  /// A copy of the cells with these indices [n] int64.
  Histogram at(const at::Tensor& cells) const;

  const at::Tensor& edges() const { return edges_; }
  const at::Tensor& counts() const { return counts_; }

 private:
  at::Tensor edges_, counts_;
};

}  // namespace lenswright
