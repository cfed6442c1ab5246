#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "edits/kernel.h"

namespace lenswright {

/// Brings a stored matrix back from what an edit made of it. W' = S (I - U Vᵀ) W C + A Bᵀ is solved
/// for W = S⁻¹ (W' - A Bᵀ) C⁻¹ + U P with P = VᵀW, the rows that the edit took away; what the
/// rounding of W' lost is coded as corrections to that (base/corrections.h).
///
/// P [k, in] is kept once where the residual lies along the rows; where it lies along the columns
/// each row keeps its own, in the piece that has the row. The factors must outlive it.
class Undo {
 public:
  /// `shape`: its data are not looked at. std::invalid_argument naming `name` where factors are not
  /// of this size.
  Undo(const StoredMatrix& shape, const FactorSpans& factors, const std::string& name);

  /// P as it is kept, of EditedMatrix::along(); nothing where rows keep their own.
  std::vector<std::byte> keep(std::span<const double> along);
  /// The same as it was kept; std::invalid_argument where it has another size.
  void set(std::span<const std::byte> kept);

  /// `count` rows from `first` on, before and after, as stored.
  std::vector<std::byte> encode(int64_t first, int64_t count, const std::byte* before,
                                const std::byte* after) const;
  void decode(int64_t first, int64_t count, const std::byte* after,
              std::span<const std::byte> piece, std::byte* before) const;

 private:
  bool rows_keep() const { return shape_.residual_axis == 1 && rank_ > 0; }
  /// In sixteen bits' place float32 is more than enough; wider types keep doubles.
  int64_t kept_bytes() const;
  void seen_by(const double* row, double* along) const;
  void predict(int64_t row, const std::byte* after, const double* along, double* values,
               double* reaches) const;
  void predict_output(int64_t row, double* values, double* reaches) const;
  void predict_input(int64_t row, const double* along, double* values, double* reaches) const;

  StoredMatrix shape_;
  FactorSpans factors_;
  std::string name_;
  int64_t rank_ = 0, added_ = 0;
  std::vector<double> s_, c_;  // their inverses; 0 where there is none
  std::vector<double> along_;  // P, [k, in]
};

}  // namespace lenswright
