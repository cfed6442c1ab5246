#include "nn/rope.h"

#include <ATen/ATen.h>

#include "nn/deterministic.h"

namespace lenswright {

RopeTable rope_table(const at::Tensor& positions, double theta, int64_t dim, at::ScalarType dtype) {
  const auto f32 = positions.options().dtype(at::kFloat);
  const at::Tensor exponents = at::arange(0, dim, 2, f32) / static_cast<double>(dim);
  const at::Tensor frequencies = at::pow(at::scalar_tensor(theta, f32), exponents).reciprocal();
  const at::ScalarType wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor angles =
      positions.to(wide).unsqueeze(-1) * frequencies.to(wide);  // [batch, pos, dim / 2]
  const auto table = [&](at::Tensor (*function)(const at::Tensor&)) {
    return (deterministic() ? by_chunks(angles, function) : function(angles))
        .to(dtype)
        .unsqueeze(2);
  };
  return {table(at::cos), table(at::sin)};
}

at::Tensor rope(const at::Tensor& x, const RopeTable& table, RopeLayout layout) {
  const bool adjacent = layout == RopeLayout::adjacent;
  const int64_t half = table.cos.size(-1);
  const at::Tensor turned = x.narrow(-1, 0, 2 * half);
  at::Tensor first, second;
  if (adjacent) {
    const at::Tensor pairs = turned.unflatten(-1, {half, 2});
    first = pairs.select(-1, 0);
    second = pairs.select(-1, 1);
  } else {
    first = turned.narrow(-1, 0, half);
    second = turned.narrow(-1, half, half);
  }
  const at::Tensor a = first * table.cos - second * table.sin;
  const at::Tensor b = second * table.cos + first * table.sin;
  at::Tensor result = adjacent ? at::stack({a, b}, -1).flatten(-2) : at::cat({a, b}, -1);
  if (2 * half == x.size(-1)) return result;
  return at::cat({result, x.narrow(-1, 2 * half, x.size(-1) - 2 * half)}, -1);
}

}  // namespace lenswright
