#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace lenswright {

/// Which places of a batch are samples, the cell each belongs to and the prompt it comes from; all
/// [samples] int64 on the CPU. `prompts` may be undefined where nobody keeps examples.
struct Samples {
  at::Tensor rows, places, cells, prompts;
};

/// What is kept of vectors that come a batch at a time, for several cells at once (a cell is a
/// class, a half of its prompts and a position). Memory is that of the cells, however many samples
/// come; float64 on the CPU.
class Accumulator {
 public:
  using State = std::map<std::string, at::Tensor>;

  virtual ~Accumulator() = default;

  /// Adds values [samples, width] float64 on the CPU, finite and contiguous, each to its cell.
  virtual void take(const at::Tensor& values, const Samples& samples) = 0;
  /// Everything it would be made again from, by name.
  virtual State state() const = 0;
};

/// Throws ValueError or IndexError unless `values` are [samples, width] of the samples' number and
/// every cell lies within `cells`.
void check_samples(const at::Tensor& values, const at::Tensor& cells, int64_t width,
                   int64_t cell_count);

/// A tensor of a saved state; ValueError naming it where it is missing or not [cells, ...] of the
/// type.
at::Tensor part_of(const Accumulator::State& state, const std::string& name, at::ScalarType type,
                   int64_t dimensions);

}  // namespace lenswright
