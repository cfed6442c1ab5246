#pragma once

#include <vector>

#include "io/json.h"
#include "merge/plan_config.h"

namespace lenswright {

/// Throws std::invalid_argument naming a key of config.json that says what a layer is by its depth
/// (the first k are dense, every n-th is full ...) where a layer of `origins` would become another
/// one by it. `config`: of the decoder, of the model that the output's config.json comes from.
void check_depths(const Json& config, const std::vector<LayerOrigin>& origins);

}  // namespace lenswright
