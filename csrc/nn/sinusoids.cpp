#include "nn/sinusoids.h"

#include <ATen/ATen.h>

#include <cmath>

namespace lenswright {

at::Tensor sinusoids(int64_t count, int64_t d) {
  const auto f32 = at::TensorOptions().dtype(at::kFloat);
  TORCH_CHECK_VALUE(d >= 4, "d_model is ", d, ", expected at least 4 where positions are sinusoids",
                    " (two frequencies, the first and the last)");
  const int64_t half = d / 2;
  const double step = std::log(10000.0) / static_cast<double>(half - 1);
  const at::Tensor frequencies = at::exp(at::arange(half, f32) * -step);
  const at::Tensor angles = at::arange(count, f32.dtype(at::kDouble)).unsqueeze(1) * frequencies;
  at::Tensor table = at::cat({at::sin(angles), at::cos(angles)}, 1);
  if (d % 2 == 1) table = at::constant_pad_nd(table, {0, 1});
  return table;
}

}  // namespace lenswright
