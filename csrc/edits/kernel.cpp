#include "edits/kernel.h"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string>

#include "base/clones.h"
#include "base/narrow.h"
#include "base/parallel.h"
#include "base/widen.h"

namespace lenswright {
namespace {

constexpr int64_t kBlock = 1024;  // columns at a time: what is summed over rows stays in the cache
constexpr int64_t kPanel = 32;    // rows at a time of a matrix that lies turned
constexpr size_t kLanes = 16;  // sums of a product of vectors, so that it needs no fixed hardware

LENSWRIGHT_CLONES void add_scaled(double factor, const double* __restrict x, double* __restrict y,
                                  int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

LENSWRIGHT_CLONES void multiply(const double* __restrict x, double* __restrict y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] *= x[i];
}

LENSWRIGHT_CLONES void multiply_by(double factor, double* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] *= factor;
}

LENSWRIGHT_CLONES double dot(const double* x, const double* y, int64_t count) {
  std::array<double, kLanes> lanes{};
  int64_t i = 0;
  for (; i + static_cast<int64_t>(kLanes) <= count; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += x[i + l] * y[i + l];
  }
  for (size_t l = 0; i < count; ++i, ++l) lanes[l] += x[i] * y[i];
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

LENSWRIGHT_CLONES bool any_beyond(double limit, const double* values, int64_t count) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) found |= values[i] > limit || values[i] < -limit ? 1 : 0;
  return found != 0;
}

// The largest number that is not rounded to infinity.
double reach_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f16:
      return 0x1.FFDFFFFFFFFFFp15;
    case Dtype::bf16:
      return 0x1.FEFFFFFFFFFFFp127;
    case Dtype::f32:
      return 0x1.FFFFFEFFFFFFFp127;
    default:
      return std::numeric_limits<double>::max();
  }
}

// Strengths without measure, and MXFP4, which reaches a little farther than BF16.
void check_range(const StoredMatrix& matrix, const double* values) {
  if (!any_beyond(reach_of(matrix.dtype), values, matrix.columns)) return;
  const std::string name(matrix.is_quantised() ? matrix.quantised.name : matrix.name);
  throw std::invalid_argument("tensor '" + name + "': a number of its edited weight is beyond " +
                              std::string(wire_name(matrix.dtype)) +
                              ", in which it would be written");
}

int64_t count_of(std::span<const double> factor, int64_t width) {
  return width == 0 ? 0 : static_cast<int64_t>(factor.size()) / width;
}

}  // namespace

void StoredMatrix::read(int64_t first_row, int64_t count, int64_t first_column, int64_t width,
                        double* to) const {
  const int64_t last = first_row + count;
  if (turned) {
    std::vector<double> line(static_cast<size_t>(count));
    for (int64_t column = 0; column < width; ++column) {
      quantised.read(first_column + column, first_row, count, line.data());
      for (int64_t i = 0; i < count; ++i) to[i * width + column] = line[i];
    }
    return;
  }
  for (int64_t row = first_row; row < last; ++row, to += width) {
    if (is_quantised()) {
      quantised.read(row, first_column, width, to);
    } else {
      const std::byte* from = data + row * row_bytes() + first_column * element_bytes(dtype);
      widen(dtype, from, width, to);
    }
  }
}

EditedMatrix::EditedMatrix(const StoredMatrix& source, const FactorSpans& factors, int threads)
    : source_(source), factors_(factors) {
  if (!can_narrow(source.dtype)) {
    throw std::invalid_argument("type " + std::string(wire_name(source.dtype)) +
                                " of an edited tensor: expected F64, F32, BF16 or F16");
  }
  const bool outputs_down = source.residual_axis == 0;
  const int64_t outputs = outputs_down ? source.rows : source.columns;
  rank_ = count_of(factors.u, outputs);
  added_ = count_of(factors.a, outputs);
  if (!outputs_down || rank_ == 0) return;
  along_.assign(static_cast<size_t>(rank_ * source.columns), 0.0);
  const int64_t blocks = (source.columns + kBlock - 1) / kBlock;
  parallel_for(blocks, threads, [&](int64_t block) {
    const int64_t first = block * kBlock;
    reduce(first, std::min(kBlock, source.columns - first));
  });
}

// Columns are independent of one another, and each is summed from the first row to the last: who
// computes which block changes nothing.
void EditedMatrix::reduce(int64_t first_column, int64_t count) {
  std::array<double, kBlock> values;
  for (int64_t row = 0; row < source_.rows; ++row) {
    source_.read(row, 1, first_column, count, values.data());
    for (int64_t k = 0; k < rank_; ++k) {
      add_scaled(factors_.v[k * source_.rows + row], values.data(),
                 &along_[k * source_.columns + first_column], count);
    }
  }
}

void EditedMatrix::write(int64_t first, int64_t count, std::byte* to) const {
  const int64_t panel = source_.turned ? kPanel : 1, columns = source_.columns;
  std::vector<double> buffer(static_cast<size_t>(panel * columns));
  for (int64_t row = first; row < first + count; row += panel) {
    const int64_t rows = std::min(panel, first + count - row);
    source_.read(row, rows, 0, columns, buffer.data());
    for (int64_t i = 0; i < rows; ++i, to += source_.row_bytes()) {
      double* const values = &buffer[i * columns];
      source_.residual_axis == 0 ? edit_output(row + i, values) : edit_input(row + i, values);
      check_range(source_, values);
      narrow(source_.dtype, values, columns, to);
    }
  }
}

// One row is one output, for every input.
void EditedMatrix::edit_output(int64_t row, double* values) const {
  const FactorSpans& f = factors_;
  const int64_t outputs = source_.rows, inputs = source_.columns;
  for (int64_t k = 0; k < rank_; ++k) {
    add_scaled(-f.u[k * outputs + row], &along_[k * inputs], values, inputs);
  }
  if (!f.s.empty()) multiply_by(f.s[row], values, inputs);
  if (!f.c.empty()) multiply(f.c.data(), values, inputs);
  for (int64_t r = 0; r < added_; ++r) {
    add_scaled(f.a[r * outputs + row], &f.b[r * inputs], values, inputs);
  }
}

// One row is one input, with every output.
void EditedMatrix::edit_input(int64_t row, double* values) const {
  const FactorSpans& f = factors_;
  const int64_t outputs = source_.columns, inputs = source_.rows;
  if (rank_ > 0) {
    std::vector<double> along(static_cast<size_t>(rank_));  // all of them before the row changes
    for (int64_t k = 0; k < rank_; ++k) along[k] = dot(&f.v[k * outputs], values, outputs);
    for (int64_t k = 0; k < rank_; ++k) {
      add_scaled(-along[k], &f.u[k * outputs], values, outputs);
    }
  }
  if (!f.s.empty()) multiply(f.s.data(), values, outputs);
  if (!f.c.empty()) multiply_by(f.c[row], values, outputs);
  for (int64_t r = 0; r < added_; ++r) {
    add_scaled(f.b[r * inputs + row], &f.a[r * outputs], values, outputs);
  }
}

}  // namespace lenswright
