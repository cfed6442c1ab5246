#pragma once

#include <map>
#include <string>
#include <vector>

#include "edits/edit.h"
#include "nn/quantised.h"

namespace lenswright {

/// What an edit does to one matrix of a stored tensor.
struct Piece {
  int64_t slice = -1;  // which of a tensor that holds one for each expert; -1: the tensor is it
  FactorSpans factors;
  int residual_axis = 0;

  /// The matrix, in a tensor of this shape that lies at `data`.
  StoredMatrix matrix(Dtype dtype, const std::vector<int64_t>& shape, const std::byte* data) const;
  /// The same of a quantised one, on the CPU, that stands for a tensor of this shape.
  StoredMatrix matrix(const Quantised& source, const std::vector<int64_t>& shape) const;
  /// Where it begins there, in bytes.
  int64_t offset(Dtype dtype, const std::vector<int64_t>& shape) const;
};

/// What an edit does to one stored tensor.
struct Change {
  std::string expected;       // SHA-256 the edit was made for, or ""
  std::vector<Piece> pieces;  // by slice

  /// A piece for every matrix of a tensor of this shape, those that stay as they are too.
  std::vector<Piece> all_pieces(const std::vector<int64_t>& shape) const;
};

/// The type in which edits write what is quantised.
inline constexpr Dtype kDequantised = Dtype::bf16;

/// What an edit does to the tensors of a model with these writers, by stored name. The edit must
/// outlive it. ValueError where a writer is missing or of another size, and where two parts of the
/// edit meet in one matrix.
std::map<std::string, Change> changes_of(const Edit& edit, const std::vector<WriterSite>& writers);

/// Throws ValueError where factors would shift the bias of a writer that has none.
void check_shift(const WriterSite& writer, const Factors& factors);

}  // namespace lenswright
