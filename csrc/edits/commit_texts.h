#pragma once

#include "edits/commit_plan.h"

namespace lenswright {

// The small files beside a committed checkpoint's weights.

/// The index with the tensors that the plan writes.
std::string index_text(const CommitPlan& plan);

/// config.json of what the plan writes: embeddings that are not tied, every other byte as it was;
/// or weights that are not quantised.
std::string config_text(const CommitPlan& plan);

}  // namespace lenswright
