#pragma once

#include "merge/gram.h"

namespace lenswright {

/// Weights of two vectors on the great circle between them (Shoemake, SIGGRAPH 1985):
/// sin((1-t)θ)/sin θ and sin(tθ)/sin θ; straight interpolation where they point the same way or
/// nearly opposite ways (cosine below -`opposite`), where the circle is not defined.
Coefficients on_circle(double cosine, double t, double opposite);

}  // namespace lenswright
