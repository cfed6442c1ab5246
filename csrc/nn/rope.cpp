#include "nn/rope.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <vector>

#include "nn/deterministic.h"
#include "nn/rope_frequencies.h"
#include "nn/rope_kernel.h"

namespace lenswright {
namespace {

constexpr int64_t kRotationGrain = 1 << 15;  // numbers that are worth a thread

// The same sums as of whole tensors, in one pass.
template <typename T>
at::Tensor by_our_loop(const at::Tensor& x, const RopeTable& table, const Rope& rope) {
  const int64_t positions = x.size(1), heads = x.size(2), width = x.size(3);
  const int64_t half = table.cos.size(-1), end = rope.start + 2 * half;
  const at::Tensor cos = table.cos.expand({x.size(0), positions, 1, half}), sin = table.sin;
  at::Tensor y = at::empty(x.sizes(), x.options());
  const T *from = x.const_data_ptr<T>(), *c = cos.const_data_ptr<T>(), *s = sin.const_data_ptr<T>();
  T* to = y.mutable_data_ptr<T>();
  const auto position = [&](int64_t i) {
    const int64_t row = i / positions, place = i % positions;
    const int64_t angle = row * cos.stride(0) + place * cos.stride(1);
    const T* in = from + row * x.stride(0) + place * x.stride(1);
    T* out = to + i * heads * width;
    for (int64_t head = 0; head < heads && 2 * half < width; ++head) {
      const T* whole = in + head * x.stride(2);
      std::copy(whole, whole + rope.start, out + head * width);
      std::copy(whole + end, whole + width, out + head * width + end);
    }
    turn_heads(
        {in + rope.start, out + rope.start, c + angle, s + angle, heads, half, x.stride(2), width},
        rope.layout);
  };
  const int64_t grain = std::max<int64_t>(1, kRotationGrain / std::max<int64_t>(1, heads * width));
  at::parallel_for(0, x.size(0) * positions, grain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) position(i);
  });
  return y;
}

bool is_ours(const at::Tensor& x, const RopeTable& table) {
  const bool graph = c10::GradMode::is_enabled() && x.requires_grad();
  const bool wide = x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble;
  const auto lies = [](const at::Tensor& t) { return t.stride(-1) == 1 || t.size(-1) == 1; };
  return !graph && wide && x.is_cpu() && lies(x) && lies(table.cos) &&
         table.cos.strides() == table.sin.strides() && table.cos.scalar_type() == x.scalar_type();
}

}  // namespace

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
  if (is_ours(x, table)) {
    return x.scalar_type() == at::kDouble ? by_our_loop<double>(x, table, rope)
                                          : by_our_loop<float>(x, table, rope);
  }
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
