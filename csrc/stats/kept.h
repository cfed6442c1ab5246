#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "stats/accumulator.h"

namespace lenswright {

/// The samples themselves, for what no running figure can answer. Memory grows with their number:
/// 8 width bytes each.
class Kept : public Accumulator {
 public:
  Kept(int64_t cells, int64_t width);
  /// From saved parts: values [samples, width] float64; cells, prompts and places [samples] int64;
  /// size [1] int64, the number of cells.
  explicit Kept(const State& state);

  void take(const at::Tensor& values, const Samples& samples) override;
  State state() const override;
  /// Adds the other's samples.
  void merge(const Kept& other);
  /// A copy of the cells with these indices [n] int64, numbered anew.
  Kept at(const at::Tensor& cells) const;

  int64_t cell_count() const { return cell_count_; }
  int64_t width() const { return width_; }
  // Sorted by cell, prompt and place.
  const at::Tensor& values() const;
  const at::Tensor& cells() const;
  const at::Tensor& prompts() const;
  const at::Tensor& places() const;

 private:
  void settle() const;

  int64_t cell_count_, width_;
  mutable std::vector<at::Tensor> values_, columns_;  // columns: [3, samples] cell, prompt, place
  mutable at::Tensor cells_, prompts_, places_;
};

}  // namespace lenswright
