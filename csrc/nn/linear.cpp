#include "nn/linear.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nn/deterministic.h"

namespace lenswright {
namespace {

constexpr int64_t kTile = int64_t{1} << 20;  // widened numbers at a time: 4 MB in float32
constexpr int64_t kOutputs = 512;            // of one task of a deterministic product

at::Tensor in_type(const at::Tensor& tensor, at::ScalarType type) {
  return tensor.defined() && tensor.scalar_type() != type ? tensor.to(type) : tensor;
}

// With one block of rows and one type: the product itself.
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!bias.defined()) return at::linear(x, weight);
  return at::linear(x, weight, bias);
}

void product_into(at::Tensor result, const at::Tensor& x, const at::Tensor& weight,
                  const at::Tensor& bias) {
  if (!bias.defined()) {
    at::mm_out(result, x, weight.t());
  } else {
    at::addmm_out(result, bias, x, weight.t());
  }
}

at::Tensor part_of(const at::Tensor& bias, int64_t start, int64_t count) {
  return bias.defined() ? bias.narrow(0, start, count) : bias;
}

int64_t tile_outputs(const at::Tensor& weight) {
  return std::max<int64_t>(1, kTile / std::max<int64_t>(1, weight.size(1)));
}

at::Tensor widening_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  const int64_t outputs = weight.size(0), step = tile_outputs(weight);
  at::Tensor result = at::empty({rows.size(0), outputs}, x.options());
  for (int64_t start = 0; start < outputs; start += step) {
    const int64_t count = std::min(step, outputs - start);
    const at::Tensor tile = weight.narrow(0, start, count).to(x.scalar_type());
    product_into(result.narrow(1, start, count), rows, tile, part_of(bias, start, count));
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = outputs;
  return result.view(shape);
}

// Blocks of rows by tiles of outputs, each a product of its own: what a block and a tile are
// depends on the weight only.
at::Tensor blocked_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const RowBlocks blocks(x);
  const int64_t outputs = weight.size(0), step = std::min(kOutputs, tile_outputs(weight));
  const int64_t tiles = (outputs + step - 1) / step;
  at::Tensor result = at::empty({blocks.count() * kBlockRows, outputs}, x.options());
  const auto fill = [&](int64_t block, int64_t start, const at::Tensor& tile) {
    product_into(result.narrow(0, block * kBlockRows, kBlockRows).narrow(1, start, tile.size(0)),
                 blocks[block], tile, part_of(bias, start, tile.size(0)));
  };
  const bool wide = weight.scalar_type() != x.scalar_type();
  const int64_t each = wide ? 1 : blocks.count();  // a widened tile serves all blocks
  in_parallel(tiles * each, [&](int64_t task) {
    const int64_t start = task / each * step;
    at::Tensor tile = weight.narrow(0, start, std::min(step, outputs - start));
    if (!wide) return fill(task % each, start, tile);
    tile = tile.to(x.scalar_type());
    for (int64_t block = 0; block < blocks.count(); ++block) fill(block, start, tile);
  });
  return blocks.joined(result);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor b = in_type(bias, x.scalar_type());
  const bool wide = weight.scalar_type() != x.scalar_type();
  const bool graph = c10::GradMode::is_enabled() && (weight.requires_grad() || x.requires_grad() ||
                                                     (b.defined() && b.requires_grad()));
  // Autograd keeps what the product needs; a tile that is overwritten would be lost to it.
  if (graph) return product(x, weight.to(x.scalar_type()), b);
  if (deterministic()) return blocked_product(x, weight, b);
  return wide ? widening_product(x, weight, b) : product(x, weight, b);
}

}  // namespace lenswright
