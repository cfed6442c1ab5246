#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lenswright {

/// (1 - share) covariance + share tr(covariance) / width identity.
at::Tensor shrunk(const at::Tensor& covariance, double share);

/// Oracle approximating shrinkage: the share for a covariance [width, width] (n in the denominator)
/// of `n` Gaussian samples, 0 to 1. Chen, Wiesel, Eldar and Hero 2010 (IEEE TSP 58), equation 23.
double oracle_share(const at::Tensor& covariance, int64_t n);

/// Ledoit and Wolf 2004 (J. Multivariate Analysis 88): the share for rows [n, width] whose mean is
/// zero, no distribution assumed, 0 to 1.
double ledoit_wolf_share(const at::Tensor& rows);

}  // namespace lenswright
