#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/progress.h"
#include "merge/gram.h"
#include "merge/input.h"

namespace lenswright {

/// What some models did to one tensor of their base, in float64.
struct TaskStatistics {
  std::string tensor;
  int64_t elements = 0;
  double base_norm = 0;
  Gram gram{0};                  // of the differences to the base, model by model
  std::vector<double> sizes;     // Σ |δ|
  std::vector<int64_t> changed;  // elements that differ from the base's
  int64_t shared = 0;            // elements that more than one model changed
  int64_t conflicts = 0;         // of those: changed up by one model and down by another

  double norm(size_t model) const { return gram.norm(model); }
  double cosine(size_t a, size_t b) const;
  /// (Σ |δ|)² / (n Σ δ²): 1 where all elements changed by the same amount, 1/n where one did.
  double density(size_t model) const;
};

/// Of every tensor that base and models have in the same shape, as numbers; in the base's order.
/// The result does not depend on the number of threads. Progress counts bytes of the base.
std::vector<TaskStatistics> task_statistics(const Input& base, const Inputs& models,
                                            Progress* progress = nullptr, int threads = 0);

}  // namespace lenswright
