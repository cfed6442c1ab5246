#include "nn/panel_product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "nn/fitting_kernel.h"
#include "nn/thin_product.h"

namespace lenswright {
namespace {

constexpr int64_t kRowsOfTask = 672;      // so many rows of kPanelDepth numbers stay in the cache
constexpr int64_t kPanelGrain = 1 << 16;  // products that are worth a thread

// Tasks get equally many, up to a kernel's block.
int64_t rows_of_task(int64_t rows, const PanelKernel& kernel) {
  const int64_t tasks = (rows + kRowsOfTask - 1) / kRowsOfTask;
  const int64_t blocks = (rows + tasks * kernel.rows - 1) / (tasks * kernel.rows);
  return std::min(rows, blocks * kernel.rows);
}

// Rows and outputs from piece `begin` to piece `end`; pieces are panels, blocks of rows one after
// the other.
void run_pieces(const PanelWork& work, ThinType type, const PanelKernel& kernel, int64_t each,
                int64_t begin, int64_t end) {
  const int64_t panels = (work.outputs + kernel.outputs - 1) / kernel.outputs;
  const at::Tensor room = at::empty({kPanelDepth * (kernel.outputs + each)}, at::kFloat);
  while (begin < end) {
    const int64_t row = begin / panels * each, panel = begin % panels;
    const int64_t count = std::min(panels - panel, end - begin);
    const PanelPart part{row, std::min(work.rows, row + each), panel * kernel.outputs,
                         std::min(work.outputs, (panel + count) * kernel.outputs)};
    kernel.run[static_cast<int>(type)](work, part, room.mutable_data_ptr<float>());
    begin += count;
  }
}

}  // namespace

const PanelKernel& panel_kernel() {
  static const PanelKernel& kernel =
      fitting_kernel(panel_kernel_plain(), panel_kernel_avx2(), panel_kernel_avx512());
  return kernel;
}

at::Tensor panel_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                         const PanelKernel& kernel) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)}).contiguous();
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  at::Tensor y = at::empty(shape, x.options());
  const at::Tensor b = bias.defined() ? bias.contiguous() : bias;
  const PanelWork work{rows.const_data_ptr<float>(),
                       rows.size(1),
                       weight.const_data_ptr(),
                       weight.stride(0),
                       weight.stride(1),
                       b.defined() ? b.const_data_ptr<float>() : nullptr,
                       y.mutable_data_ptr<float>(),
                       rows.size(0),
                       rows.size(1),
                       weight.size(0)};
  if (work.rows == 0) return y;
  const int64_t each = rows_of_task(work.rows, kernel), blocks = (work.rows + each - 1) / each;
  const int64_t panels = (work.outputs + kernel.outputs - 1) / kernel.outputs;
  const int64_t cost = std::max<int64_t>(1, each * work.inputs * kernel.outputs);
  const ThinType type = thin_type(weight.scalar_type());
  at::parallel_for(
      0, blocks * panels, std::max<int64_t>(1, kPanelGrain / cost),
      [&](int64_t begin, int64_t end) { run_pieces(work, type, kernel, each, begin, end); });
  return y;
}

at::Tensor panel_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return panel_product(x, weight, bias, panel_kernel());
}

}  // namespace lenswright
