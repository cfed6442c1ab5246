#pragma once

#include <memory>
#include <vector>

#include "base/philox.h"
#include "merge/task_vectors.h"

namespace lenswright {

/// Keeps each element with probability `density` (DARE; Yu et al. 2023, arXiv:2311.03099): element
/// i where the i-th 32-bit word of the model's stream is below density · 2^32. `factor` of what is
/// kept: 1 / density makes the expectation what it was.
class Bernoulli final : public Sparsifier {
 public:
  Bernoulli(const Task& task, bool unbiased);
  void apply(int64_t tile, const Strip& strip, size_t model, double* delta, double* room) override;

 private:
  struct Model {
    Philox random;
    double density = 1, factor = 1;
  };
  std::vector<Model> models_;
};

}  // namespace lenswright
