#include "stats/winsorise.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lenswright {
namespace {

double bound_of(std::vector<double>& magnitudes, double share) {
  const double rank = share * static_cast<double>(magnitudes.size() - 1);
  const auto low = static_cast<size_t>(rank);
  const auto place = magnitudes.begin() + static_cast<std::ptrdiff_t>(low);
  std::nth_element(magnitudes.begin(), place, magnitudes.end());
  if (low + 1 == magnitudes.size()) return *place;
  const double above = *std::min_element(place + 1, magnitudes.end());
  return *place + (rank - static_cast<double>(low)) * (above - *place);
}

}  // namespace

at::Tensor winsorised(const at::Tensor& values, double share) {
  TORCH_CHECK_VALUE(share > 0 && share <= 1, "winsorise is ", share,
                    ", expected a quantile above 0 and at most 1");
  TORCH_CHECK_VALUE(values.dim() == 2 && values.size(1) > 0, "values has shape ", values.sizes(),
                    ", expected [samples, width]");
  at::Tensor result = values.to(at::kCPU, at::kDouble).clone(at::MemoryFormat::Contiguous);
  const int64_t width = result.size(1);
  std::vector<double> magnitudes(static_cast<size_t>(width));
  for (int64_t row = 0; row < result.size(0); ++row) {
    double* value = result.mutable_data_ptr<double>() + row * width;
    std::transform(value, value + width, magnitudes.begin(), [](double x) { return std::abs(x); });
    const double bound = bound_of(magnitudes, share);
    for (int64_t i = 0; i < width; ++i) value[i] = std::clamp(value[i], -bound, bound);
  }
  return result;
}

}  // namespace lenswright
