#include "directions/whitening.h"

#include <ATen/ATen.h>

#include <limits>

namespace lenswright {
namespace {

struct Spectrum {
  at::Tensor values, vectors, kept;
};

void check(const at::Tensor& covariance) {
  TORCH_CHECK_VALUE(covariance.dim() == 2 && covariance.size(0) == covariance.size(1) &&
                        covariance.scalar_type() == at::kDouble,
                    "covariance is ", covariance.scalar_type(), " ", covariance.sizes(),
                    ", expected a square of float64");
  TORCH_CHECK_VALUE(covariance.isfinite().all().item<bool>(),
                    "covariance has values that are not finite: at least two samples are needed");
}

double tolerance(const at::Tensor& covariance) {
  return static_cast<double>(covariance.size(0)) * std::numeric_limits<double>::epsilon();
}

Spectrum spectrum(const at::Tensor& covariance) {
  const auto [values, vectors] = at::linalg_eigh(covariance);
  return {values, vectors, values > values.max().clamp_min(0) * tolerance(covariance)};
}

}  // namespace

at::Tensor solve_covariance(const at::Tensor& covariance, const at::Tensor& right) {
  check(covariance);
  const auto [factor, info] = at::linalg_cholesky_ex(covariance);
  const at::Tensor pivots = factor.diagonal().square();
  const bool sound =
      info.item<int>() == 0 && (pivots.min() > pivots.max() * tolerance(covariance)).item<bool>();
  if (sound) return at::cholesky_solve(right, factor);
  const Spectrum s = spectrum(covariance);
  const at::Tensor inverse = at::where(s.kept, 1 / s.values, at::zeros_like(s.values));
  return at::mm(s.vectors, inverse.unsqueeze(1) * at::mm(s.vectors.t(), right));
}

Whitening whitening(const at::Tensor& covariance) {
  check(covariance);
  const Spectrum s = spectrum(covariance);
  const at::Tensor none = at::zeros_like(s.values);
  const at::Tensor root = at::where(s.kept, s.values, none).sqrt();
  const at::Tensor inverse = at::where(s.kept, 1 / root, none);
  return {at::mm(s.vectors * inverse, s.vectors.t()), at::mm(s.vectors * root, s.vectors.t())};
}

}  // namespace lenswright
