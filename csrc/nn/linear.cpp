#include "nn/linear.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nn/deterministic.h"

namespace lenswright {
namespace {

constexpr int64_t kTile = int64_t{1} << 20;  // widened numbers at a time: 4 MB in float32

at::Tensor in_type(const at::Tensor& tensor, at::ScalarType type) {
  return tensor.defined() && tensor.scalar_type() != type ? tensor.to(type) : tensor;
}

// With one block of rows and one type: the product itself.
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!bias.defined()) return at::linear(x, weight);
  return at::linear(x, weight, bias);
}

at::Tensor widening_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  const int64_t step = std::max<int64_t>(1, kTile / std::max<int64_t>(1, inputs));
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = outputs;
  at::Tensor result = at::empty(shape, x.options());
  for (int64_t start = 0; start < outputs; start += step) {
    const int64_t count = std::min(step, outputs - start);
    const at::Tensor tile = weight.narrow(0, start, count).to(x.scalar_type());
    const at::Tensor part = bias.defined() ? bias.narrow(0, start, count) : bias;
    result.narrow(-1, start, count).copy_(product(x, tile, part));
  }
  return result;
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor b = in_type(bias, x.scalar_type());
  const bool wide = weight.scalar_type() != x.scalar_type();
  const bool graph = c10::GradMode::is_enabled() && (weight.requires_grad() || x.requires_grad());
  const auto run = [&](const at::Tensor& rows) {
    if (!wide) return product(rows, weight, b);
    // Autograd keeps what the product needs; a tile that is overwritten would be lost to it.
    if (graph) return product(rows, weight.to(rows.scalar_type()), b);
    return widening_product(rows, weight, b);
  };
  return deterministic() && !graph ? by_row_blocks(x, run) : run(x);
}

}  // namespace lenswright
