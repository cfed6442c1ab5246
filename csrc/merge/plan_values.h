#pragma once

#include "merge/job.h"
#include "merge/plan_parts.h"

namespace lenswright {

/// Gives a job and its operands the numbers of its method's parameters: of the model, its slice,
/// its module or the recipe, at this tensor and `depth` in [0, 1]. std::invalid_argument: one that
/// a method needs is not given, or they do not fit together.
void set_values(Job& job, double depth, const Parts& parts);

}  // namespace lenswright
