#include "nn/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "nn/deterministic.h"
#include "nn/panel_product.h"
#include "nn/thin_product.h"

namespace lenswright {
namespace {

constexpr int64_t kTile = int64_t{1} << 20;  // widened numbers at a time: 4 MB in float32
constexpr int64_t kNarrow = 256;             // outputs of a tile, unless inputs are very many
constexpr int64_t kOutputs = 512;            // of one task of a deterministic product
constexpr int64_t kThinRows = 32;            // beyond, torch's products are as fast
constexpr int64_t kThinTurned = 16;          // the same of float32 weights that lie turned
constexpr int64_t kThinNumbers = 1 << 17;    // a smaller float32 weight stays in the cache
constexpr int64_t kAlways = 1 << 18;         // 16-bit weights that are not worth a choice

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

// Outputs of a tile, where each thread works on tiles of its own: all get equally many, and their
// number suits the vectors of any processor. Each tile's product packs x anew: no narrow tiles.
int64_t shared_outputs(const at::Tensor& weight, int64_t threads) {
  const int64_t most = tile_outputs(weight), least = std::min(kNarrow, 2 * most);
  const int64_t outputs = weight.size(0), turn = threads * std::max(most, least);
  const int64_t tiles = (outputs + turn - 1) / turn * threads;
  return std::max<int64_t>(1, (outputs + tiles - 1) / tiles + 15) / 16 * 16;
}

// Room for a widened tile that lies as the weight does.
at::Tensor tile_room(const at::Tensor& weight, int64_t outputs, const at::TensorOptions& options) {
  const bool turned = weight.stride(0) == 1 && weight.stride(1) != 1;
  if (turned) return at::empty({weight.size(1), outputs}, options).t();
  return at::empty({outputs, weight.size(1)}, options);
}

at::Tensor widening_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  const int64_t outputs = weight.size(0), threads = x.is_cpu() ? at::get_num_threads() : 1;
  const int64_t step = shared_outputs(weight, threads), tiles = (outputs + step - 1) / step;
  at::Tensor result = at::empty({rows.size(0), outputs}, x.options());
  const auto share = [&](int64_t thread) {
    const at::Tensor room = tile_room(weight, step, x.options());
    for (int64_t i = thread * tiles / threads; i < (thread + 1) * tiles / threads; ++i) {
      const int64_t start = i * step, count = std::min(step, outputs - start);
      at::Tensor tile = room.narrow(0, 0, count);
      tile.copy_(weight.narrow(0, start, count));
      product_into(result.narrow(1, start, count), rows, tile, part_of(bias, start, count));
    }
  };
  threads > 1 ? in_parallel(threads, share) : share(0);
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

// Where our kernel beats torch's: 16-bit weights of few rows, float32 ones that come from memory.
bool thin(const at::Tensor& x, const at::Tensor& weight) {
  const int64_t rows = x.numel() / std::max<int64_t>(1, x.size(-1));
  if (rows == 0 || !thin_serves(x, weight)) return false;
  const bool wide = weight.scalar_type() != x.scalar_type();
  // Small 16-bit weights always: of a small model, a row's numbers then depend on that row only.
  if (wide && weight.numel() <= kAlways) return true;
  if (rows > kThinRows) return false;
  if (wide) return true;
  return weight.numel() >= kThinNumbers && (weight.stride(1) == 1 || rows <= kThinTurned);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor b = in_type(bias, x.scalar_type());
  const bool wide = weight.scalar_type() != x.scalar_type();
  const bool graph = c10::GradMode::is_enabled() && (weight.requires_grad() || x.requires_grad() ||
                                                     (b.defined() && b.requires_grad()));
  // Autograd keeps what the product needs; a tile that is overwritten would be lost to it.
  if (graph) return product(x, weight.to(x.scalar_type()), b);
  if (deterministic()) {
    return thin_serves(x, weight) ? panel_product(x, weight, b) : blocked_product(x, weight, b);
  }
  if (thin(x, weight)) return thin_product(x, weight, b);
  return wide ? widening_product(x, weight, b) : product(x, weight, b);
}

}  // namespace lenswright
