#pragma once

#include "edits/methods/method.h"

namespace lenswright {

/// Plain orthogonalisation, W' = (I - w v vᵀ) W and b' = (I - w v vᵀ) b (Arditi et al. 2024,
/// arXiv:2406.11717). w = 1 removes, 2 reflects.
Factors plain(const Aim& aim, const Strength& strength);

/// W' = (I - 2 w v vᵀ) W: w = 1 reflects (Householder), 1/2 removes, 0 changes nothing.
Factors reflection(const Aim& aim, const Strength& strength);

/// W' = (I + w v vᵀ) W: what is written along v grows by w.
Factors strengthen(const Aim& aim, const Strength& strength);

}  // namespace lenswright
