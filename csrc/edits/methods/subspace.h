#pragma once

#include "edits/methods/method.h"

namespace lenswright {

/// W' = (I - w Q Qᵀ) W with Q an orthonormal basis of what the directions span. ValueError where
/// they depend on each other.
Factors subspace(const Aim& aim, const Strength& strength);

/// W' = (I - w R (RᵀR + ridge I)⁻¹ Rᵀ) W with R the directions at length 1: of a subspace, less of
/// what few directions carry (Gabliteration, arXiv:2512.18901).
Factors ridge(const Aim& aim, const Strength& strength);

}  // namespace lenswright
