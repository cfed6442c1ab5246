#include "edits/undo.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "base/clones.h"
#include "base/corrections.h"
#include "base/widen.h"

namespace lenswright {
namespace {

constexpr double kAnywhere = std::numeric_limits<double>::infinity();

LENSWRIGHT_CLONES void add_scaled(double factor, const double* __restrict x, double* __restrict y,
                                  int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

// What was multiplied by nothing has left no trace.
void scale(double inverse, double& value, double& reach) {
  value *= inverse;
  reach = inverse == 0 ? kAnywhere : reach * std::abs(inverse);
}

std::vector<double> inverses(std::span<const double> diagonal) {
  std::vector<double> all;
  for (const double x : diagonal) all.push_back(std::isfinite(1 / x) ? 1 / x : 0);
  return all;
}

bool fits(std::span<const double> factor, int64_t width) {
  return width > 0 && factor.size() % static_cast<size_t>(width) == 0;
}

std::vector<std::byte> stored(std::span<const double> values, int64_t bytes) {
  std::vector<std::byte> kept(values.size() * static_cast<size_t>(bytes));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto narrow = static_cast<float>(values[i]);
    const void* const from = bytes == 4 ? static_cast<const void*>(&narrow) : &values[i];
    std::memcpy(&kept[i * static_cast<size_t>(bytes)], from, static_cast<size_t>(bytes));
  }
  return kept;
}

void read(std::span<const std::byte> kept, int64_t bytes, double* to) {
  widen(bytes == 4 ? Dtype::f32 : Dtype::f64, kept.data(),
        static_cast<int64_t>(kept.size()) / bytes, to);
}

}  // namespace

Undo::Undo(const StoredMatrix& shape, const FactorSpans& factors, const std::string& name)
    : shape_(shape), factors_(factors), name_(name) {
  const bool down = shape.residual_axis == 0;
  const int64_t out = down ? shape.rows : shape.columns, in = down ? shape.columns : shape.rows;
  const FactorSpans& f = factors;
  const bool whole = fits(f.u, out) && fits(f.a, out) && f.u.size() == f.v.size() &&
                     (f.s.empty() || f.s.size() == static_cast<size_t>(out)) &&
                     (f.c.empty() || f.c.size() == static_cast<size_t>(in)) &&
                     f.b.size() == f.a.size() / static_cast<size_t>(out) * static_cast<size_t>(in);
  if (!whole) {
    throw std::invalid_argument("tensor '" + name + "' has another size than the edit's factors");
  }
  rank_ = static_cast<int64_t>(f.u.size()) / out;
  added_ = static_cast<int64_t>(f.a.size()) / out;
  s_ = inverses(f.s);
  c_ = inverses(f.c);
}

int64_t Undo::kept_bytes() const { return element_bytes(shape_.dtype) == 2 ? 4 : 8; }

std::vector<std::byte> Undo::keep(std::span<const double> along) {
  if (shape_.residual_axis == 1) return {};
  std::vector<std::byte> kept = stored(along, kept_bytes());
  set(kept);
  return kept;
}

void Undo::set(std::span<const std::byte> kept) {
  const int64_t numbers = shape_.residual_axis == 1 ? 0 : rank_ * shape_.columns;
  if (kept.size() != static_cast<size_t>(numbers * kept_bytes())) {
    throw std::invalid_argument("tensor '" + name_ + "': its rows in the journal have " +
                                std::to_string(kept.size()) + " bytes, expected " +
                                std::to_string(numbers * kept_bytes()));
  }
  along_.resize(static_cast<size_t>(numbers));
  read(kept, kept_bytes(), along_.data());
}

// VᵀW of one input, whose outputs lie side by side.
void Undo::seen_by(const double* row, double* along) const {
  for (int64_t k = 0; k < rank_; ++k) {
    along[k] = 0;
    const double* const v = &factors_.v[k * shape_.columns];
    for (int64_t i = 0; i < shape_.columns; ++i) along[k] += v[i] * row[i];
  }
}

void Undo::predict(int64_t row, const std::byte* after, const double* along, double* values,
                   double* reaches) const {
  const int64_t columns = shape_.columns;
  widen(shape_.dtype, after, columns, values);
  half_units(shape_.dtype, {values, static_cast<size_t>(columns)}, reaches);
  shape_.residual_axis == 0 ? predict_output(row, values, reaches)
                            : predict_input(row, along, values, reaches);
}

void Undo::predict_output(int64_t row, double* values, double* reaches) const {
  const FactorSpans& f = factors_;
  const int64_t outputs = shape_.rows, inputs = shape_.columns;
  for (int64_t r = 0; r < added_; ++r) {
    add_scaled(-f.a[r * outputs + row], &f.b[r * inputs], values, inputs);
  }
  for (int64_t i = 0; i < inputs && !c_.empty(); ++i) scale(c_[i], values[i], reaches[i]);
  for (int64_t i = 0; i < inputs && !s_.empty(); ++i) scale(s_[row], values[i], reaches[i]);
  for (int64_t k = 0; k < rank_; ++k) {
    add_scaled(f.u[k * outputs + row], &along_[k * inputs], values, inputs);
  }
}

void Undo::predict_input(int64_t row, const double* along, double* values, double* reaches) const {
  const FactorSpans& f = factors_;
  const int64_t outputs = shape_.columns, inputs = shape_.rows;
  for (int64_t r = 0; r < added_; ++r) {
    add_scaled(-f.b[r * inputs + row], &f.a[r * outputs], values, outputs);
  }
  for (int64_t i = 0; i < outputs && !c_.empty(); ++i) scale(c_[row], values[i], reaches[i]);
  for (int64_t i = 0; i < outputs && !s_.empty(); ++i) scale(s_[i], values[i], reaches[i]);
  for (int64_t k = 0; k < rank_; ++k) add_scaled(along[k], &f.u[k * outputs], values, outputs);
}

std::vector<std::byte> Undo::encode(int64_t first, int64_t count, const std::byte* before,
                                    const std::byte* after) const {
  const auto columns = static_cast<size_t>(shape_.columns);
  const int64_t row_bytes = shape_.row_bytes();
  std::vector<double> values(columns), reaches(columns), along(static_cast<size_t>(rank_));
  std::vector<std::byte> kept;
  CorrectionEncoder coder(shape_.dtype);
  for (int64_t i = 0; i < count; ++i, before += row_bytes, after += row_bytes) {
    if (rows_keep()) {
      widen(shape_.dtype, before, shape_.columns, values.data());
      seen_by(values.data(), along.data());
      const std::vector<std::byte> own = stored(along, kept_bytes());
      read(own, kept_bytes(), along.data());
      kept.insert(kept.end(), own.begin(), own.end());
    }
    predict(first + i, after, along.data(), values.data(), reaches.data());
    coder.add({values, reaches}, before);
  }
  const std::vector<std::byte> corrections = coder.finish();
  kept.insert(kept.end(), corrections.begin(), corrections.end());
  return kept;
}

void Undo::decode(int64_t first, int64_t count, const std::byte* after,
                  std::span<const std::byte> piece, std::byte* before) const {
  const auto columns = static_cast<size_t>(shape_.columns);
  const int64_t row_bytes = shape_.row_bytes();
  const auto own = static_cast<size_t>(rank_ * kept_bytes());
  const size_t kept = rows_keep() ? own * static_cast<size_t>(count) : 0;
  if (piece.size() < kept) {
    throw std::invalid_argument("tensor '" + name_ + "': a piece of the journal is too short");
  }
  std::vector<double> values(columns), reaches(columns), along(static_cast<size_t>(rank_));
  CorrectionDecoder coder(shape_.dtype, piece.subspan(kept));
  for (int64_t i = 0; i < count; ++i, before += row_bytes, after += row_bytes) {
    if (rows_keep()) {
      read(piece.subspan(static_cast<size_t>(i) * own, own), kept_bytes(), along.data());
    }
    predict(first + i, after, along.data(), values.data(), reaches.data());
    coder.read({values, reaches}, before);
  }
}

}  // namespace lenswright
