#pragma once

#include <functional>

#include "model/model.h"

namespace lenswright {

/// A writer's weight as numbers, [out, in] in float64, tile by tile: a token embedding's would be a
/// gigabyte. It is what the model holds now, applied edits included.
class WriterValues {
 public:
  WriterValues(const Model& model, const WriterSite& writer);

  int64_t outputs() const { return matrix_.size(0); }
  int64_t inputs() const { return matrix_.size(1); }

  /// Calls `visit(first, tile)` with the columns [first, first + tile's) of each tile, in order.
  void each(const std::function<void(int64_t first, const at::Tensor& tile)>& visit) const;

  /// Lengths of rows, one for each residual channel: [out].
  at::Tensor row_norms() const;
  /// Squared lengths of columns, what each input writes: [in].
  at::Tensor column_squares() const;
  /// VᵀW of vectors [..., out]: [..., in].
  at::Tensor seen_along(const at::Tensor& vectors) const;
  /// W x of vectors [..., in]: [..., out].
  at::Tensor written_by(const at::Tensor& vectors) const;

 private:
  at::Tensor matrix_;  // [out, in], a view of what is stored
};

}  // namespace lenswright
