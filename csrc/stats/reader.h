#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "model/taps.h"
#include "stats/moments.h"

namespace lenswright {

/// Which places of a batch are samples, and the cell each belongs to; all [samples] int64 on the
/// CPU.
struct Samples {
  at::Tensor rows, places, cells;
};

/// A reader for `Taps::read` that adds those places of a point [batch, pos, ...] to the moments.
/// Throws ValueError naming the point where a value is not finite.
Taps::Reader moments_reader(std::shared_ptr<Moments> moments, Samples samples, Point point);

}  // namespace lenswright
