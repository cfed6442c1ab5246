#pragma once

#include <vector>

#include "merge/plan.h"
#include "merge/plan_config.h"

namespace lenswright {

/// config.json of the result: the donor's, with layers as `origins` say (none: as they are), the
/// size of the vocabulary, whether embeddings are tied, and the type.
Json merged_config(const MergePlan& plan, const std::vector<LayerOrigin>& origins);

/// The files of the result: as many tensors each as fit into `bytes`.
std::vector<MergePlan::Shard> shards_of(const std::vector<Job>& jobs, uint64_t bytes);

}  // namespace lenswright
