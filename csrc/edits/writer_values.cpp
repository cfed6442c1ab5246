#include "edits/writer_values.h"

#include <ATen/ATen.h>

namespace lenswright {
namespace {

constexpr int64_t kTile = int64_t{1} << 22;  // numbers: 32 MiB in float64

at::Tensor matrix_of(const Model& model, const WriterSite& writer) {
  at::Tensor stored = model.stored(writer.weight)->value.detach();
  if (writer.slice >= 0) stored = stored.select(0, writer.slice);
  if (stored.dim() == 1) stored = stored.unsqueeze(0);  // a norm's bias: a table of one row
  return writer.residual_axis == 1 ? stored.t() : stored;
}

}  // namespace

WriterValues::WriterValues(const Model& model, const WriterSite& writer)
    : matrix_(matrix_of(model, writer)) {}

void WriterValues::each(const std::function<void(int64_t, const at::Tensor&)>& visit) const {
  const int64_t step = std::max<int64_t>(1, kTile / outputs());
  for (int64_t first = 0; first < inputs(); first += step) {
    const at::Tensor tile = matrix_.narrow(1, first, std::min(step, inputs() - first));
    visit(first, tile.to(at::kCPU, at::kDouble));
  }
}

at::Tensor WriterValues::row_norms() const {
  at::Tensor squares = at::zeros({outputs()}, at::kDouble);
  each([&](int64_t, const at::Tensor& tile) { squares += tile.square().sum(1); });
  return squares.sqrt();
}

at::Tensor WriterValues::column_squares() const {
  std::vector<at::Tensor> parts;
  each([&](int64_t, const at::Tensor& tile) { parts.push_back(tile.square().sum(0)); });
  return at::cat(parts);
}

at::Tensor WriterValues::seen_along(const at::Tensor& vectors) const {
  std::vector<at::Tensor> parts;
  each([&](int64_t, const at::Tensor& tile) { parts.push_back(at::matmul(vectors, tile)); });
  return at::cat(parts, -1);
}

at::Tensor WriterValues::written_by(const at::Tensor& vectors) const {
  at::Tensor sum;
  each([&](int64_t first, const at::Tensor& tile) {
    const at::Tensor part = at::matmul(vectors.narrow(-1, first, tile.size(1)), tile.t());
    sum = sum.defined() ? sum + part : part;
  });
  return sum;
}

}  // namespace lenswright
