#include "nn/quantised.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "nn/linear.h"

namespace lenswright {
namespace {

constexpr int64_t kWindow = int64_t{1} << 18;       // widened numbers at a time: 1 MB in float32
constexpr int64_t kWindowGrain = int64_t{1} << 15;  // of them for a thread to be worth waking

template <typename T>
void fill(const QuantisedMatrix& m, int64_t row, int64_t rows, int64_t column, int64_t columns,
          at::Tensor& to) {
  T* const data = to.mutable_data_ptr<T>();
  const int64_t grain = std::max<int64_t>(1, kWindowGrain / std::max<int64_t>(1, columns));
  at::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) m.read(row + i, column, columns, data + i * columns);
  });
}

// A part of the matrix as it lies: [rows, columns].
struct Window {
  int64_t row, rows, column, columns;
};

Window window_of(const Quantised& weight, const QuantisedPart& part) {
  if (part.turned) return {0, weight.rows(), part.start, part.outputs};
  return {part.start, part.outputs, 0, weight.columns()};
}

at::Tensor of_expert(const at::Tensor& tensor, const Quantised& weight, int64_t expert) {
  return weight.experts ? tensor.select(0, expert) : tensor;
}

// The grid's rows that belong to rows of the matrix.
at::Tensor grid_rows(const BlockGrid& grid, const Window& w, at::Device device) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < w.rows; ++i) rows.push_back(grid.row_of(w.row + i));
  return at::tensor(rows, at::kLong).to(device);
}

at::Tensor fp8_by_torch(const Quantised& weight, int64_t expert, const Window& w) {
  const at::Tensor codes = of_expert(weight.codes, weight, expert);
  const at::Tensor factors = of_expert(weight.factors, weight, expert)
                                 .reshape({-1, weight.grid.columns})
                                 .index_select(0, grid_rows(weight.grid, w, codes.device()));
  const at::Tensor columns = at::floor_divide(
      at::arange(w.column, w.column + w.columns, factors.options().dtype(at::kLong)),
      weight.grid.block_columns);
  return codes.narrow(0, w.row, w.rows).narrow(1, w.column, w.columns).to(at::kFloat) *
         factors.index_select(1, columns);
}

at::Tensor mxfp4_by_torch(const Quantised& weight, int64_t expert, const Window& w) {
  const int64_t first = w.column / kMxGroup;
  const int64_t groups = (w.column + w.columns + kMxGroup - 1) / kMxGroup - first;
  const auto cut = [&](const at::Tensor& tensor) {
    return of_expert(tensor, weight, expert).narrow(0, w.row, w.rows).narrow(1, first, groups);
  };
  const at::Tensor bytes = cut(weight.codes), exponents = cut(weight.scales).to(at::kLong);
  TORCH_CHECK_VALUE(!exponents.eq(255).any().item<bool>(), "tensor '", weight.name,
                    "': scale byte 255, which is no number; expected 0 to 254");
  const at::Tensor table = at::tensor({0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0,
                                       -1.5, -2.0, -3.0, -4.0, -6.0},
                                      at::kDouble)
                               .to(bytes.device());
  const at::Tensor codes = at::stack({bytes.bitwise_and(15), bytes.bitwise_right_shift(4)}, -1);
  const at::Tensor numbers = table.index({codes.flatten(-2).to(at::kLong)});
  // 2^(e - 127) as the bits of a float64.
  const at::Tensor powers = ((exponents + 896) * (int64_t{1} << 52)).view(at::kDouble);
  const at::Tensor values = (numbers * powers.unsqueeze(-1)).flatten(1);
  return values.narrow(1, w.column - first * kMxGroup, w.columns);
}

}  // namespace

int64_t Quantised::columns() const {
  const int64_t size = codes.size(experts ? 2 : 1);
  return form == Quantisation::mxfp4 ? size * kMxGroup : size;
}

QuantisedMatrix Quantised::matrix(int64_t expert) const {
  const at::Tensor own = of_expert(codes, *this, expert);
  QuantisedMatrix m{form, name, rows(), columns(),
                    static_cast<const std::byte*>(own.const_data_ptr())};
  m.grid = grid;
  if (form == Quantisation::fp8) {
    m.scales = of_expert(factors, *this, expert).const_data_ptr<float>();
  } else {
    m.exponents = static_cast<const std::byte*>(of_expert(scales, *this, expert).const_data_ptr());
  }
  return m;
}

at::Tensor widened_by_torch(const Quantised& weight, const QuantisedPart& part,
                            at::ScalarType type) {
  const Window window = window_of(weight, part);
  const at::Tensor values = weight.form == Quantisation::fp8
                                ? fp8_by_torch(weight, part.expert, window)
                                : mxfp4_by_torch(weight, part.expert, window);
  return (part.turned ? values.t() : values).to(type);
}

namespace {

at::ScalarType read_as(at::ScalarType type) {
  return type == at::kDouble ? at::kDouble : at::kFloat;
}

// room: memory to use, of the type that is read; undefined: memory of its own.
at::Tensor widened_in(const at::Tensor& room, const Quantised& weight, const QuantisedPart& part,
                      at::ScalarType type) {
  if (!weight.codes.is_cpu()) return widened_by_torch(weight, part, type);
  const Window w = window_of(weight, part);
  at::Tensor values = room.defined()
                          ? room.narrow(0, 0, w.rows * w.columns).view({w.rows, w.columns})
                          : at::empty({w.rows, w.columns}, read_as(type));
  const QuantisedMatrix matrix = weight.matrix(part.expert);
  if (type == at::kDouble) {
    fill<double>(matrix, w.row, w.rows, w.column, w.columns, values);
  } else {
    fill<float>(matrix, w.row, w.rows, w.column, w.columns, values);
  }
  return (part.turned ? values.t() : values).to(type);
}

}  // namespace

at::Tensor widened(const Quantised& weight, const QuantisedPart& part, at::ScalarType type) {
  return widened_in({}, weight, part, type);
}

at::Tensor linear(const at::Tensor& x, const Quantised& weight, const QuantisedPart& part,
                  const at::Tensor& bias) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  const int64_t inputs = part.turned ? weight.rows() : weight.columns();
  const int64_t step = std::max<int64_t>(1, kWindow / std::max<int64_t>(1, inputs));
  // Tiles share their memory (fresh pages cost more than what is done to them), unless autograd
  // keeps them.
  const bool graph = c10::GradMode::is_enabled() && x.requires_grad();
  at::Tensor room;
  if (!graph) room = at::empty({std::min(step, part.outputs) * inputs}, read_as(x.scalar_type()));
  std::vector<at::Tensor> results;
  for (int64_t start = 0; start < part.outputs; start += step) {
    const int64_t count = std::min(step, part.outputs - start);
    const QuantisedPart tile{part.expert, part.start + start, count, part.turned};
    results.push_back(linear(rows, widened_in(room, weight, tile, x.scalar_type()),
                             bias.defined() ? bias.narrow(0, start, count) : bias));
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = part.outputs;
  return (results.size() == 1 ? results[0] : at::cat(results, -1)).view(shape);
}

}  // namespace lenswright
