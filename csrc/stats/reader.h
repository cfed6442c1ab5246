#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "model/taps.h"
#include "stats/accumulator.h"

namespace lenswright {

using Accumulators = std::vector<std::shared_ptr<Accumulator>>;

/// A reader for `Taps::read` that adds those places of a point [batch, pos, ...] to all of the
/// accumulators, winsorised where `winsorise` is below 1. Throws ValueError naming the point where
/// a value is not finite.
Taps::Reader statistics_reader(Accumulators accumulators, Samples samples, Point point,
                               double winsorise = 1.0);

}  // namespace lenswright
