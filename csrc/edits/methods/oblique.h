#pragma once

#include "edits/methods/method.h"

namespace lenswright {

/// W' = (I - w A (BᵀA)⁻¹ Bᵀ) W: what B reads is removed along A, and Bᵀ W' = 0 at w = 1. With A the
/// difference of means and B its whitened form this is LEACE of two classes (Belrose et al. 2023,
/// arXiv:2306.03819); A = B is the orthogonal projection. ValueError where BᵀA cannot be inverted.
Factors oblique(const Aim& aim, const Strength& strength);

}  // namespace lenswright
