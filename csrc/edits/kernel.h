#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/quantised_matrix.h"

namespace lenswright {

/// The factors of W' = S (I - U Vᵀ) W C + A Bᵀ, row-major; empty where absent.
struct FactorSpans {
  std::span<const double> s;     // diagonal, [out]
  std::span<const double> u, v;  // [k, out]
  std::span<const double> c;     // diagonal, [in]
  std::span<const double> a;     // [r, out]
  std::span<const double> b;     // [r, in]
};

/// A matrix as it lies in its file: [out, in] where residual_axis is 0, [in, out] where it is 1.
struct StoredMatrix {
  Dtype dtype{};                    // of what is written, and of what is read from `data`
  const std::byte* data = nullptr;  // may be unaligned
  int64_t rows = 0;
  int64_t columns = 0;
  int residual_axis = 0;
  QuantisedMatrix quantised{};  // where it is, it is read in the place of `data`
  bool turned = false;          // and it is [columns, rows]
  std::string_view name{};      // of the tensor, for errors

  bool is_quantised() const { return quantised.form != Quantisation::none; }
  int64_t row_bytes() const { return columns * element_bytes(dtype); }
  /// Some of its numbers, row by row: `count` rows and `width` columns.
  void read(int64_t first_row, int64_t count, int64_t first_column, int64_t width,
            double* to) const;
};

/// A stored matrix with factors applied: computed in double in an order that depends on nothing but
/// its shape, rounded once to the stored type (a quantised one to `dtype`). Applying and committing
/// both come here, and so agree bit for bit.
///
/// Besides a few rows it holds VᵀW, [k, in]. The source and the factors must outlive it.
class EditedMatrix {
 public:
  /// Where the residual lies along the rows it reads the source once, to compute VᵀW.
  EditedMatrix(const StoredMatrix& source, const FactorSpans& factors, int threads);

  /// The rows [first, first + count) as stored. Ranges may be written from different threads.
  /// std::invalid_argument where a number is beyond what `dtype` holds: rounded it would be
  /// infinite.
  void write(int64_t first, int64_t count, std::byte* to) const;

  const StoredMatrix& source() const { return source_; }
  /// VᵀW, [k, in]; empty where the residual lies along the columns.
  std::span<const double> along() const { return along_; }

 private:
  void reduce(int64_t first_column, int64_t count);
  void edit_output(int64_t row, double* values) const;
  void edit_input(int64_t row, double* values) const;

  StoredMatrix source_;
  FactorSpans factors_;
  int64_t rank_;
  int64_t added_;
  std::vector<double> along_;  // VᵀW, [k, in]
};

}  // namespace lenswright
