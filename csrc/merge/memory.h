#pragma once

#include <cstdint>
#include <vector>

#include "merge/plan.h"

namespace lenswright {

/// The private memory a merge takes, known before it begins.
struct Memory {
  int threads = 1;
  uint64_t shared = 0;         // for what tensors keep between passes, all that are begun together
  uint64_t bytes = 0;          // in all, at most
  std::vector<uint64_t> held;  // of `shared`, by job
};

/// With `limit` (0: none) fewer threads work, and fewer tensors are begun together, where it would
/// be more otherwise; std::invalid_argument where one thread at the largest tensor needs more.
Memory memory_of(const MergePlan& plan, int threads, uint64_t limit = 0);

}  // namespace lenswright
