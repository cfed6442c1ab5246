#include "nn/rope.h"

#include <ATen/ATen.h>

#include <vector>

#include "nn/deterministic.h"
#include "nn/rope_frequencies.h"

namespace lenswright {

RopeTable rope_table(const at::Tensor& positions, const at::Tensor& lengths, const Rope& rope,
                     at::ScalarType dtype) {
  const at::ScalarType wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor frequencies = rope_frequencies(rope, lengths).to(wide);
  if (frequencies.dim() == 2) frequencies = frequencies.unsqueeze(1);
  const at::Tensor angles = positions.to(wide).unsqueeze(-1) * frequencies;  // [batch, pos, dim/2]
  const auto table = [&](at::Tensor (*function)(const at::Tensor&)) {
    at::Tensor values = elementwise(angles, function);
    if (rope.attention_factor != 1.0) values = values * rope.attention_factor;
    return values.to(dtype).unsqueeze(2);
  };
  return {table(at::cos), table(at::sin)};
}

at::Tensor rotated(const at::Tensor& x, const RopeTable& table, const Rope& rope) {
  const bool adjacent = rope.layout != RopeLayout::half;
  const int64_t half = table.cos.size(-1), end = rope.start + rope.dim;
  const at::Tensor turned = x.narrow(-1, rope.start, 2 * half);
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
  const bool together = rope.layout == RopeLayout::adjacent;
  const at::Tensor result = together ? at::stack({a, b}, -1).flatten(-2) : at::cat({a, b}, -1);
  std::vector<at::Tensor> parts;
  if (rope.start > 0) parts.push_back(x.narrow(-1, 0, rope.start));
  parts.push_back(result);
  if (end < x.size(-1)) parts.push_back(x.narrow(-1, end, x.size(-1) - end));
  return parts.size() == 1 ? result : at::cat(parts, -1);
}

}  // namespace lenswright
