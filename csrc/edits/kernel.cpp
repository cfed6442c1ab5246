#include "edits/kernel.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/clones.h"
#include "base/narrow.h"
#include "base/parallel.h"
#include "base/widen.h"

namespace lenswright {
namespace {

constexpr int64_t kBlock = 1024;  // columns at a time: what is summed over rows stays in the cache
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

int64_t count_of(std::span<const double> factor, int64_t width) {
  return width == 0 ? 0 : static_cast<int64_t>(factor.size()) / width;
}

}  // namespace

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
  const std::byte* from = source_.data + first_column * element_bytes(source_.dtype);
  for (int64_t row = 0; row < source_.rows; ++row, from += source_.row_bytes()) {
    widen(source_.dtype, from, count, values.data());
    for (int64_t k = 0; k < rank_; ++k) {
      add_scaled(factors_.v[k * source_.rows + row], values.data(),
                 &along_[k * source_.columns + first_column], count);
    }
  }
}

void EditedMatrix::write(int64_t first, int64_t count, std::byte* to) const {
  std::vector<double> buffer(static_cast<size_t>(source_.columns));
  for (int64_t row = first; row < first + count; ++row, to += source_.row_bytes()) {
    if (source_.residual_axis == 0) {
      write_output(row, buffer, to);
    } else {
      write_input(row, buffer, to);
    }
  }
}

// One row is one output, for every input.
void EditedMatrix::write_output(int64_t row, std::span<double> buffer, std::byte* to) const {
  const FactorSpans& f = factors_;
  const int64_t outputs = source_.rows, inputs = source_.columns;
  double* const values = buffer.data();
  widen(source_.dtype, source_.data + row * source_.row_bytes(), inputs, values);
  for (int64_t k = 0; k < rank_; ++k) {
    add_scaled(-f.u[k * outputs + row], &along_[k * inputs], values, inputs);
  }
  if (!f.s.empty()) multiply_by(f.s[row], values, inputs);
  if (!f.c.empty()) multiply(f.c.data(), values, inputs);
  for (int64_t r = 0; r < added_; ++r) {
    add_scaled(f.a[r * outputs + row], &f.b[r * inputs], values, inputs);
  }
  narrow(source_.dtype, values, inputs, to);
}

// One row is one input, with every output.
void EditedMatrix::write_input(int64_t row, std::span<double> buffer, std::byte* to) const {
  const FactorSpans& f = factors_;
  const int64_t outputs = source_.columns, inputs = source_.rows;
  double* const values = buffer.data();
  widen(source_.dtype, source_.data + row * source_.row_bytes(), outputs, values);
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
  narrow(source_.dtype, values, outputs, to);
}

}  // namespace lenswright
