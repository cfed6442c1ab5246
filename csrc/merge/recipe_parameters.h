#pragma once

#include "io/json.h"
#include "merge/method.h"
#include "merge/setting.h"

namespace lenswright {

/// The parameters at a place of a recipe. `shared`: of the merge, a module or a slice; parameters
/// of a single model may stand there, too, and hold for all. std::invalid_argument: one that the
/// method has not, that is not of a single model, or that is out of its range.
Settings read_parameters(const Json& parameters, const Method& method, bool shared);

}  // namespace lenswright
