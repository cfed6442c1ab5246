#pragma once

#include <ATen/core/Tensor.h>

namespace lenswright {

/// Fisher's linear discriminant (1936): covariance⁻¹ difference [width], covariance [width, width]
/// within the classes; see `solve_covariance` for one that is singular.
at::Tensor lda(const at::Tensor& covariance, const at::Tensor& difference);

/// The same with the coordinates taken as uncorrelated: difference / variance [width]; coordinates
/// that never vary, to 2.2e-16 of the largest variance, are left out.
at::Tensor diagonal_lda(const at::Tensor& variance, const at::Tensor& difference);

}  // namespace lenswright
