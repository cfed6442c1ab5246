#pragma once

#include <cstdint>
#include <vector>

#include "edits/changes.h"
#include "io/safetensors.h"

namespace lenswright {

/// A stretch of a stored tensor: one of its matrices, which an edit changes, or what lies between
/// those and is copied. It is worked on in slabs, which any thread may take.
struct Segment {
  uint64_t begin = 0;  // within the tensor, in bytes
  int64_t rows = 0;
  int64_t row_bytes = 0;
  const Piece* piece = nullptr;  // none: copied
  int64_t step = 1;              // rows of a slab
  int64_t first_slab = 0;        // of the tensor's

  int64_t slabs() const { return (rows + step - 1) / step; }
  uint64_t bytes() const { return static_cast<uint64_t>(rows * row_bytes); }
  int64_t rows_of(int64_t slab) const { return std::min(step, rows - slab * step); }
  uint64_t offset(int64_t slab) const {
    return begin + static_cast<uint64_t>(slab * step * row_bytes);
  }
};

/// Bytes of a tensor that one thread works on at a time.
inline constexpr int64_t kSlabBytes = int64_t{1} << 20;

/// All of a tensor, in order. `pieces` must outlive what is returned.
std::vector<Segment> segments_of(const TensorInfo& tensor, const std::vector<Piece>& pieces);

}  // namespace lenswright
