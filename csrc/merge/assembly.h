#pragma once

#include <optional>
#include <string>
#include <vector>

#include "merge/plan.h"

namespace lenswright {

/// One tensor of a model that is put together: a tensor of an input under a name of its own, times
/// a number, and with noise: x scale + noise · n, n standard normal by the seed, the new name and
/// the element's place.
struct AssembledTensor {
  std::string name;
  std::string input, tensor;
  std::optional<Dtype> dtype;  // none: as it is stored
  double scale = 1;
  double noise = 0;
};

/// A model put together from tensors of others, with the config.json given; files beside the
/// weights are the donor's. Throws std::invalid_argument: an input or a tensor that is not there
/// (with the nearest name), a name twice, a type that cannot be read or written.
MergePlan plan_assembly(const Inputs& inputs, const std::string& donor,
                        const std::vector<AssembledTensor>& pieces, const Json& config,
                        const MergeOptions& options);

}  // namespace lenswright
