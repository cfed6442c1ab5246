#pragma once

#include <vector>

#include "base/philox.h"
#include "merge/task_vectors.h"

namespace lenswright {

/// Keeps elements with a probability that grows with the rank of their size in their row, from
/// density - epsilon to density + epsilon (DELLA; Deep et al. 2024, arXiv:2406.11617). Equal sizes
/// have equal probabilities, by the mean of their ranks. `unbiased`: what is kept is divided by its
/// own probability.
class MagPrune final : public Sparsifier {
 public:
  MagPrune(const Task& task, bool unbiased);
  Cut cut(int) const override { return Cut::rows; }
  void apply(int64_t tile, const Strip& strip, size_t model, double* delta, double* room) override;

 private:
  struct Model {
    Philox random;
    double density = 1, epsilon = 0;
  };
  std::vector<Model> models_;
  bool unbiased_;
};

}  // namespace lenswright
