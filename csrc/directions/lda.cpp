#include "directions/lda.h"

#include <ATen/ATen.h>

#include <limits>

#include "directions/whitening.h"

namespace lenswright {

at::Tensor lda(const at::Tensor& covariance, const at::Tensor& difference) {
  TORCH_CHECK_VALUE(difference.dim() == 1 && difference.size(0) == covariance.size(0),
                    "difference has shape ", difference.sizes(), ", expected [", covariance.size(0),
                    "]");
  return solve_covariance(covariance, difference.unsqueeze(1)).squeeze(1);
}

at::Tensor diagonal_lda(const at::Tensor& variance, const at::Tensor& difference) {
  TORCH_CHECK_VALUE(variance.dim() == 1 && variance.sizes() == difference.sizes(),
                    "variance has shape ", variance.sizes(), ", difference ", difference.sizes(),
                    ", expected [width] twice");
  TORCH_CHECK_VALUE(variance.isfinite().all().item<bool>(),
                    "variance has values that are not finite: at least two samples are needed");
  const at::Tensor floor = variance.max() * std::numeric_limits<double>::epsilon();
  return at::where(variance > floor, difference / variance, at::zeros_like(difference));
}

}  // namespace lenswright
