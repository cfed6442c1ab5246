#include "directions/shrinkage.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lenswright {

at::Tensor shrunk(const at::Tensor& covariance, double share) {
  TORCH_CHECK_VALUE(share >= 0 && share <= 1, "shrinkage is ", share, ", expected 0 to 1");
  const int64_t width = covariance.size(0);
  const at::Tensor level = covariance.trace() / width;
  return covariance * (1 - share) + at::eye(width, covariance.options()) * (level * share);
}

double oracle_share(const at::Tensor& covariance, int64_t n) {
  TORCH_CHECK_VALUE(n > 0, "n is ", n, ", expected at least 1");
  const auto p = static_cast<double>(covariance.size(0)), count = static_cast<double>(n);
  const double square = (covariance * covariance).sum().item<double>();  // tr(S²)
  const double trace = covariance.trace().item<double>();
  const double upper = (1 - 2 / p) * square + trace * trace;
  const double lower = (count + 1 - 2 / p) * (square - trace * trace / p);
  return lower <= 0 ? 1.0 : std::clamp(upper / lower, 0.0, 1.0);
}

double ledoit_wolf_share(const at::Tensor& rows) {
  TORCH_CHECK_VALUE(rows.dim() == 2 && rows.size(0) > 0, "rows has shape ", rows.sizes(),
                    ", expected [n, width] with at least one");
  const int64_t n = rows.size(0), width = rows.size(1);
  // Of S = rowsᵀ rows / n only its trace and size matter; the smaller Gram matrix has both.
  const at::Tensor gram = (n < width ? at::mm(rows, rows.t()) : at::mm(rows.t(), rows)) / n;
  const double trace = gram.trace().item<double>(), size = (gram * gram).sum().item<double>();
  const double d2 = size - trace * trace / static_cast<double>(width);
  const double fourth = rows.square().sum(1).square().sum().item<double>();
  const double b2 = (fourth / static_cast<double>(n) - size) / static_cast<double>(n);
  return d2 <= 0 ? 1.0 : std::clamp(std::min(b2, d2) / d2, 0.0, 1.0);
}

}  // namespace lenswright
