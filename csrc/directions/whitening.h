#pragma once

#include <ATen/core/Tensor.h>

namespace lenswright {

/// covariance⁺ right [width, n]: by Cholesky where the matrix allows it, else by the
/// pseudo-inverse that leaves out eigenvalues up to width * 2.2e-16 of the largest, so that what
/// the samples never reached stays out of the answer.
at::Tensor solve_covariance(const at::Tensor& covariance, const at::Tensor& right);

/// covariance^(-1/2) and its pseudo-inverse, both symmetric, with the same eigenvalues left out.
struct Whitening {
  at::Tensor forward, backward;  // [width, width]
};
Whitening whitening(const at::Tensor& covariance);

}  // namespace lenswright
