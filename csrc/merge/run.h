#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/progress.h"
#include "merge/plan.h"

namespace lenswright {

/// What a merge came across in a tensor.
struct TensorNote {
  std::string tensor;
  int64_t not_finite = 0;  // elements written that are NaN or infinite
  std::string remark;
};

/// Files to put beside the weights; they take the place of the donor's of the same name.
/// An empty one is left out.
using SmallFiles = std::vector<std::pair<std::string, std::string>>;

struct RunOptions {
  int threads = 0;      // 0: one for each processor
  uint64_t memory = 0;  // private bytes at most; 0: as much as it is quickest with
  /// Goes on with what a killed process left of the same merge, and leaves what it did when it is
  /// interrupted itself.
  bool resume = false;
};

/// Writes the new folder `output`: headers first, then tiles at their final places, in memory that
/// does not grow with the models; the same bytes for any number of threads. The folder appears
/// whole or not at all. Progress counts bytes written.
std::vector<TensorNote> run_merge(const MergePlan& plan, const std::filesystem::path& output,
                                  const SmallFiles& files, Progress* progress = nullptr,
                                  const RunOptions& options = {});

/// The same into memory: `room[i]` takes the bytes of plan.jobs[i].
std::vector<TensorNote> run_merge(const MergePlan& plan,
                                  const std::vector<std::span<std::byte>>& room,
                                  Progress* progress = nullptr, int threads = 0);

}  // namespace lenswright
