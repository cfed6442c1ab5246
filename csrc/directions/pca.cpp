#include "directions/pca.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lenswright {
namespace {

constexpr double kOrthogonal = 1e-12;  // a cosine that tells no side

void check(const at::Tensor& values, int64_t k, int64_t most, const at::Tensor& towards) {
  TORCH_CHECK_VALUE(k >= 1 && k <= most, "k is ", k, ", expected 1 to ", most);
  TORCH_CHECK_VALUE(towards.dim() == 1 && towards.size(0) == values.size(1), "towards has shape ",
                    towards.sizes(), ", expected [", values.size(1), "]");
}

// An eigenvector's sign is anybody's guess: here it follows the data.
at::Tensor oriented(const at::Tensor& vectors, const at::Tensor& towards) {
  const at::Tensor along = at::mv(vectors, towards);
  const at::Tensor largest = vectors.abs().argmax(1, true);
  const at::Tensor component = vectors.gather(1, largest).squeeze(1);
  const at::Tensor deciding =
      at::where(along.abs() > kOrthogonal * towards.norm(), along, component);
  return vectors * at::where(deciding < 0, -1.0, 1.0).to(at::kDouble).unsqueeze(1);
}

}  // namespace

Principal pca(const at::Tensor& second_moment, int64_t k, const at::Tensor& towards) {
  const int64_t width = second_moment.size(-1);
  TORCH_CHECK_VALUE(second_moment.dim() == 2 && second_moment.size(0) == width,
                    "second_moment has shape ", second_moment.sizes(), ", expected a square");
  check(second_moment, k, width, towards);
  const auto [values, vectors] = at::linalg_eigh(second_moment);  // ascending
  const at::Tensor leading = vectors.narrow(1, width - k, k).t().flip({0}).contiguous();
  return {oriented(leading, towards), values.narrow(0, width - k, k).flip({0})};
}

Principal pca_of_rows(const at::Tensor& rows, int64_t k, const at::Tensor& towards) {
  TORCH_CHECK_VALUE(rows.dim() == 2 && rows.size(0) > 0, "rows has shape ", rows.sizes(),
                    ", expected [n, width] with at least one");
  const int64_t n = rows.size(0), width = rows.size(1);
  check(rows, k, std::min(n, width), towards);
  if (width <= n) return pca(at::mm(rows.t(), rows) / n, k, towards);
  const auto [values, weights] = at::linalg_eigh(at::mm(rows, rows.t()) / n);
  const at::Tensor top = values.narrow(0, n - k, k).flip({0});
  at::Tensor leading = at::mm(weights.narrow(1, n - k, k).t().flip({0}), rows);
  // Rounding leaves those of small values a little askew; QR sets them straight.
  leading = std::get<0>(at::linalg_qr(leading.t())).t().contiguous();
  return {oriented(leading, towards), top};
}

}  // namespace lenswright
