#pragma once

#include "edits/methods/method.h"

namespace lenswright {

/// Plain, then every column of W, which is what one input writes, scaled back to the length it had:
/// W' = (I - w v vᵀ) W C with |column of W'| = |column of W|. vᵀ W' = (1 - w) vᵀ W C. A column with
/// nothing but v in it has no other length at w = 1 than 0. Biases are projected, not scaled.
Factors write_norm(const WriterValues& values, const Aim& aim, const Strength& strength,
                   const Factors& shared);

}  // namespace lenswright
