#include "directions/leace.h"

#include <ATen/ATen.h>

#include "directions/whitening.h"

namespace lenswright {
namespace {

constexpr double kZero = 1e-9;

Erasure nothing(const at::Tensor& covariance) {
  const at::Tensor none = at::zeros({0, covariance.size(0)}, at::kDouble);
  return {none, none};
}

}  // namespace

Erasure leace(const at::Tensor& covariance, const at::Tensor& cross) {
  TORCH_CHECK_VALUE(cross.dim() == 2 && cross.size(0) == covariance.size(0), "cross has shape ",
                    cross.sizes(), ", expected [", covariance.size(0), ", concepts]");
  const Whitening w = whitening(covariance);
  const auto [vectors, values, right] = at::linalg_svd(at::mm(w.forward, cross), false);
  const double largest = values.numel() == 0 ? 0.0 : values.max().item<double>();
  if (!(largest > 0)) return nothing(covariance);
  const int64_t rank = (values > kZero * largest).sum().item<int64_t>();
  const at::Tensor u = vectors.narrow(1, 0, rank);
  return {at::mm(u.t(), w.forward), at::mm(u.t(), w.backward)};
}

Erasure binary_leace(const at::Tensor& covariance, const at::Tensor& difference) {
  TORCH_CHECK_VALUE(difference.dim() == 1 && difference.size(0) == covariance.size(0),
                    "difference has shape ", difference.sizes(), ", expected [", covariance.size(0),
                    "]");
  const at::Tensor solved = solve_covariance(covariance, difference.unsqueeze(1)).squeeze(1);
  const double square = at::dot(difference, solved).item<double>();
  if (!(square > 0)) return nothing(covariance);
  return {(solved / square).unsqueeze(0), difference.unsqueeze(0)};
}

}  // namespace lenswright
