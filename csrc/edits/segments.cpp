#include "edits/segments.h"

#include <algorithm>

namespace lenswright {
namespace {

void add(std::vector<Segment>& all, uint64_t begin, int64_t rows, int64_t row_bytes,
         const Piece* piece) {
  if (rows == 0) return;
  const int64_t before = all.empty() ? 0 : all.back().first_slab + all.back().slabs();
  const int64_t step = std::max<int64_t>(1, kSlabBytes / std::max<int64_t>(1, row_bytes));
  all.push_back({begin, rows, row_bytes, piece, step, before});
}

}  // namespace

std::vector<Segment> segments_of(const TensorInfo& tensor, const std::vector<Piece>& pieces) {
  std::vector<Segment> all;
  uint64_t done = 0;
  for (const Piece& piece : pieces) {
    const auto begin = static_cast<uint64_t>(piece.offset(tensor.dtype, tensor.shape));
    const StoredMatrix matrix = piece.matrix(tensor.dtype, tensor.shape, nullptr);
    add(all, done, static_cast<int64_t>(begin - done), 1, nullptr);
    add(all, begin, matrix.rows, matrix.row_bytes(), &piece);
    done = begin + static_cast<uint64_t>(matrix.rows * matrix.row_bytes());
  }
  add(all, done, static_cast<int64_t>(tensor.bytes() - done), 1, nullptr);
  return all;
}

}  // namespace lenswright
