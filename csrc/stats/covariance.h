#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "stats/accumulator.h"

namespace lenswright {

/// Count, mean and sum of outer products of deviations of vectors, cell by cell. 8 width² bytes a
/// cell. Samples are added in blocks of one size, each centred on its own mean (Chan, Golub and
/// LeVeque 1983): a cell depends on the order of its own samples alone, not on how they are batched
/// nor on the number of threads.
class Covariance : public Accumulator {
 public:
  Covariance(int64_t cells, int64_t width);
  /// From saved parts: count [cells] int64, mean [cells, width], comoment [cells, width, width].
  explicit Covariance(const State& state);
  // A copy would share what waits: `at` makes real ones.
  Covariance(const Covariance&) = delete;
  Covariance& operator=(const Covariance&) = delete;
  Covariance(Covariance&&) = default;
  Covariance& operator=(Covariance&&) = default;

  void add(const at::Tensor& values, const at::Tensor& cells);
  void take(const at::Tensor& values, const Samples& samples) override {
    add(values, samples.cells);
  }
  State state() const override;

  /// As if the other's samples had come here, cell by cell.
  void merge(const Covariance& other);
  /// A copy of the cells with these indices [k] int64.
  Covariance at(const at::Tensor& cells) const;

  int64_t cells() const { return mean_.size(0); }
  int64_t width() const { return mean_.size(1); }
  // Reading settles what waits for its block to fill.
  const at::Tensor& count() const;
  const at::Tensor& mean() const;
  const at::Tensor& comoment() const;
  /// comoment / (count - 1) [cells, width, width]; NaN where a cell has fewer than two samples.
  at::Tensor covariance() const;

 private:
  void settle(int64_t cell) const;
  void settle() const;

  mutable at::Tensor count_, mean_, comoment_;  // of comoment_ the upper triangles, until read
  mutable at::Tensor rows_;                     // [cells, block, width]; undefined: none waits
  mutable std::vector<int64_t> waiting_;        // rows of each cell
  mutable bool symmetric_ = true;               // whether the lower triangles are up to date
};

}  // namespace lenswright
