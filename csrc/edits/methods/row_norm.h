#pragma once

#include "edits/methods/method.h"

namespace lenswright {

/// W' = (I - w D v vᵀ D⁻¹) W with D the lengths of W's rows, one for each residual channel: it
/// removes D⁻¹v rather than v (heretic's row normalisation "pre").
Factors row_oblique(const WriterValues& values, const Aim& aim, const Strength& strength,
                    const Factors& shared);

/// The same with every row scaled back to the length it had, W' = S (I - w D v vᵀ D⁻¹) W (heretic's
/// "full", there a rank-3 approximation; S takes two products with W and is exact).
Factors row_norm(const WriterValues& values, const Aim& aim, const Strength& strength,
                 const Factors& shared);

}  // namespace lenswright
