#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "stats/accumulator.h"

namespace lenswright {

/// The k largest and the k smallest values of every coordinate, cell by cell, each with the prompt
/// and the place it came from. What is kept does not depend on the order of samples: equal values
/// are ordered by prompt, then place.
class Extremes : public Accumulator {
 public:
  Extremes(int64_t cells, int64_t width, int64_t kept);
  /// From saved parts: values [cells, 2, k, width] float64, prompts and places alike, int64.
  explicit Extremes(const State& state);

  void take(const at::Tensor& values, const Samples& samples) override;
  State state() const override;
  /// As if the other's samples had come here, cell by cell.
  void merge(const Extremes& other);
  /// A copy of the cells with these indices [n] int64.
  Extremes at(const at::Tensor& cells) const;

  int64_t cells() const { return values_.size(0); }
  int64_t kept() const { return values_.size(2); }
  int64_t width() const { return values_.size(3); }
  /// [cells, 2, k, width]: largest first, then smallest first; -inf and inf where there are fewer
  /// samples than k, with place -1.
  const at::Tensor& values() const { return values_; }
  const at::Tensor& prompts() const { return prompts_; }
  const at::Tensor& places() const { return places_; }

 private:
  void put(int64_t cell, int64_t side, int64_t coordinate, double value, int64_t prompt,
           int64_t place);

  at::Tensor values_, prompts_, places_;
};

}  // namespace lenswright
