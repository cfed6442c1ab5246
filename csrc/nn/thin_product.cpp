#include "nn/thin_product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <vector>

#include "nn/fitting_kernel.h"

namespace lenswright {
namespace {

constexpr int64_t kThinGrain = 1 << 16;  // products of a block of rows that are worth a thread
constexpr int64_t kStripe = 480;         // columns, whose sums stay in the nearest cache
constexpr int64_t kRows = 32;            // served by one pass over a tile of weights
constexpr int64_t kShared = 1 << 18;     // numbers of packed rows that a thread keeps room for
constexpr size_t kLine = 64;             // bytes of a cache line
constexpr int64_t kThinTile = 1 << 17;   // numbers of a tile that many rows pass over

// task(first, last) over 0 to count; `unit` is never divided.
template <class Task>
void split(int64_t count, int64_t unit, int64_t cost_of_unit, const Task& task) {
  const int64_t grain = std::max<int64_t>(1, kThinGrain / std::max<int64_t>(1, cost_of_unit));
  at::parallel_for(0, (count + unit - 1) / unit, grain, [&](int64_t begin, int64_t end) {
    task(begin * unit, std::min(count, end * unit));
  });
}

// Memory for so many numbers from where a cache line begins.
float* aligned(std::vector<float>& room, int64_t count) {
  const auto needed = static_cast<size_t>(count) + kLine / sizeof(float);
  if (room.size() < needed) room.resize(needed);
  const auto at = reinterpret_cast<uintptr_t>(room.data());
  return reinterpret_cast<float*>((at + kLine - 1) / kLine * kLine);
}

// Rows as the kernel reads them, in `room` or, where they are few, in this thread's own, which
// products in turn share: small ones are over before a tensor is made.
const float* packed(const ThinWork& work, int64_t width, const ThinKernel& kernel,
                    std::vector<float>& room) {
  static thread_local std::vector<float> shared;
  const int64_t count = work.rows, inputs = work.inputs;
  float* const to = aligned(count * width <= kShared ? shared : room, count * width);
  const float* from = work.x;
  split(count, kThinBlock, kThinBlock * inputs, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row += kThinBlock) {
      kernel.pack(from + row * inputs, inputs, std::min(kThinBlock, last - row), to + row * width);
    }
  });
  return to;
}

// Outputs first to last, in tiles that stay in the cache where rows come in several passes.
void run(ThinKernel::Run kernel, const ThinWork& work, int64_t x_width, int64_t tile, int64_t first,
         int64_t last) {
  if (work.rows <= kRows) tile = last - first;
  for (; first < last; first += tile) {
    for (int64_t row = 0; row < work.rows; row += kRows) {
      ThinWork pass = work;
      pass.x += row * x_width;
      pass.y += row * work.outputs;
      pass.rows = std::min(kRows, work.rows - row);
      kernel(pass, first, std::min(last, first + tile));
    }
  }
}

void by_rows(ThinWork work, ThinType type, const ThinKernel& kernel) {
  const int64_t width = (work.inputs + kernel.step - 1) / kernel.step * kernel.step;
  const int64_t blocks = (work.rows + kThinBlock - 1) / kThinBlock;
  const int64_t groups = std::max<int64_t>(1, kThinTile / (work.inputs * kernel.outputs));
  std::vector<float> room;
  work.x = packed(work, width, kernel, room);
  split(work.outputs, kernel.outputs, kernel.outputs * work.inputs * blocks,
        [&](int64_t first, int64_t last) {
          run(kernel.by_rows[static_cast<int>(type)], work, width, groups * kernel.outputs, first,
              last);
        });
}

void by_columns(const ThinWork& work, ThinType type, const ThinKernel& kernel) {
  const int64_t blocks = (work.rows + kThinBlock - 1) / kThinBlock;
  const int64_t stripe = blocks == 1 ? work.outputs : kStripe / kernel.columns * kernel.columns;
  split(work.outputs, kernel.columns, kernel.columns * work.inputs * blocks,
        [&](int64_t first, int64_t last) {
          for (; first < last; first += stripe) {
            run(kernel.by_columns[static_cast<int>(type)], work, work.inputs, stripe, first,
                std::min(last, first + stripe));
          }
        });
}

}  // namespace

const ThinKernel& thin_kernel() {
  static const ThinKernel& kernel =
      fitting_kernel(thin_kernel_plain(), thin_kernel_avx2(), thin_kernel_avx512());
  return kernel;
}

ThinType thin_type(at::ScalarType type) {
  if (type == at::kFloat) return ThinType::f32;
  return type == at::kBFloat16 ? ThinType::bf16 : ThinType::f16;
}

bool thin_serves(const at::Tensor& x, const at::Tensor& weight) {
  const at::ScalarType type = weight.scalar_type();
  if (x.scalar_type() != at::kFloat || !x.is_cpu() || !weight.is_cpu() || x.is_neg()) return false;
  if (type != at::kFloat && type != at::kBFloat16 && type != at::kHalf) return false;
  if (weight.dim() != 2 || weight.size(1) != x.size(-1)) return false;
  return weight.numel() > 0 && (weight.stride(1) == 1 || weight.stride(0) == 1);
}

at::Tensor thin_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        const ThinKernel& kernel) {
  const at::Tensor rows = x.contiguous();
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  at::Tensor y = at::empty(shape, x.options());
  const at::Tensor b = bias.defined() ? bias.contiguous() : bias;
  const bool inputs_lie_together = weight.stride(1) == 1;
  const ThinWork work{rows.const_data_ptr<float>(),
                      weight.const_data_ptr(),
                      weight.stride(inputs_lie_together ? 0 : 1),
                      b.defined() ? b.const_data_ptr<float>() : nullptr,
                      y.mutable_data_ptr<float>(),
                      rows.numel() / std::max<int64_t>(1, rows.size(-1)),
                      rows.size(-1),
                      weight.size(0)};
  const ThinType type = thin_type(weight.scalar_type());
  inputs_lie_together ? by_rows(work, type, kernel) : by_columns(work, type, kernel);
  return y;
}

at::Tensor thin_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return thin_product(x, weight, bias, thin_kernel());
}

}  // namespace lenswright
