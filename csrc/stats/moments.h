#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "stats/accumulator.h"

namespace lenswright {

/// Count, mean and sum of squared deviations of vectors, elementwise, for several cells at once
/// (a cell is a class, a half of its prompts and a position). float64 on the CPU; memory is that of
/// the cells, however many samples come.
class Moments : public Accumulator {
 public:
  /// Empty cells for vectors of `width`; without `squares` only counts and means are kept.
  Moments(int64_t cells, int64_t width, bool squares = true);
  /// From saved parts: count [cells] int64, mean and m2 [cells, width] float64 (m2 may be
  /// undefined).
  Moments(at::Tensor count, at::Tensor mean, at::Tensor m2);
  explicit Moments(const State& state);

  /// Welford's update with values [samples, width], one after the other, each into its cell
  /// [samples] int64: a cell's result depends on the order of its own samples alone.
  void add(const at::Tensor& values, const at::Tensor& cells);

  void take(const at::Tensor& values, const Samples& samples) override {
    add(values, samples.cells);
  }
  State state() const override;

  /// As if the other's samples had come here, cell by cell (Chan, Golub and LeVeque 1983).
  void merge(const Moments& other);

  /// A copy of the cells with these indices [k] int64.
  Moments at(const at::Tensor& cells) const;

  int64_t cells() const { return mean_.size(0); }
  int64_t width() const { return mean_.size(1); }
  const at::Tensor& count() const { return count_; }
  const at::Tensor& mean() const { return mean_; }
  /// Undefined where only means are kept.
  const at::Tensor& m2() const { return m2_; }
  /// m2 / (count - 1) [cells, width]; NaN where a cell has fewer than two samples.
  at::Tensor variance() const;

 private:
  at::Tensor count_, mean_, m2_;
};

}  // namespace lenswright
