#pragma once

#include <memory>
#include <vector>

#include "base/philox.h"
#include "merge/task_vectors.h"

namespace lenswright {

/// Keeps each element with probability `density` (DARE; Yu et al. 2023, arXiv:2311.03099): element
/// i where the i-th 16 bits of the model's stream, a word's low half first, are below the first 16
/// bits of density; where they are equal, where word i of a second stream is below the next 32.
/// `unbiased`: what is kept is divided by density, which makes the expectation what it was.
class Bernoulli final : public Sparsifier {
 public:
  Bernoulli(const Task& task, bool unbiased);
  void apply(int64_t tile, const Strip& strip, size_t model, double* delta, double* room) override;

 private:
  struct Model {
    Philox random, more;
    double density = 1, factor = 1;
  };
  std::vector<Model> models_;
};

}  // namespace lenswright
