#include "edits/commit_job.h"

#include <algorithm>
#include <memory>

namespace lenswright {
namespace {

// Bytes of a tensor that one thread works on at a time.
constexpr int64_t kStretch = int64_t{1} << 20;

}  // namespace

CommitJob::CommitJob(const Checkpoint& checkpoint, const CommitTarget& target, FileWriter& file)
    : checkpoint_(checkpoint), target_(target), file_(file) {
  const TensorInfo& info = target.info;
  pieces_ = target.quantised ? target.change.all_pieces(info.shape) : target.change.pieces;
  uint64_t done = 0;
  for (const Piece& piece : pieces_) {
    const auto begin = static_cast<uint64_t>(piece.offset(info.dtype, info.shape));
    const StoredMatrix matrix = matrix_of(piece);
    add(done, static_cast<int64_t>(begin - done), 1, nullptr);
    add(begin, matrix.rows, matrix.row_bytes(), &piece);
    done = begin + segments_.back().bytes();
  }
  add(done, static_cast<int64_t>(info.bytes() - done), 1, nullptr);
}

void CommitJob::add(uint64_t begin, int64_t rows, int64_t row_bytes, const Piece* piece) {
  if (rows == 0) return;
  Segment& segment = segments_.emplace_back();
  segment.begin = begin;
  segment.rows = rows;
  segment.row_bytes = row_bytes;
  segment.piece = piece;
  segment.step = std::max<int64_t>(1, kStretch / std::max<int64_t>(1, row_bytes));
  segment.first_slab = all_slabs_;
  segment.left = segment.slabs();
  all_slabs_ += segment.slabs();
}

StoredMatrix CommitJob::matrix_of(const Piece& piece) const {
  const TensorInfo& info = target_.info;
  if (target_.quantised) return piece.matrix(*target_.quantised, info.shape);
  return piece.matrix(info.dtype, info.shape, checkpoint_.data(info).data());
}

void CommitJob::prepare(size_t index) {
  Segment& segment = segments_[index];
  std::call_once(segment.prepared, [&] {
    checkpoint_.map(target_.info.file)->check_unchanged();
    for (const TensorInfo& part : target_.parts) checkpoint_.map(part.file)->check_unchanged();
    if (segment.piece) segment.matrix.emplace(matrix_of(*segment.piece), segment.piece->factors, 1);
  });
}

void CommitJob::write(size_t index, int64_t slab, Progress* progress) {
  Segment& segment = segments_[index];
  try {
    prepare(index);
    put(segment, slab, progress);
  } catch (...) {  // whatever it is, those who wait for their turn at the hash must hear of it
    hash_.fail(std::current_exception());
    throw;
  }
  if (--segment.left > 0) return;
  segment.matrix.reset();
  target_.quantised ? release_quantised(segment) : release(segment.begin, segment.bytes());
}

// One of a tensor's matrices: its share of codes and scales.
void CommitJob::release_quantised(const Segment& segment) const {
  const auto matrices = static_cast<uint64_t>(pieces_.size());
  const auto slice = static_cast<uint64_t>(std::max<int64_t>(segment.piece->slice, 0));
  for (const TensorInfo& part : target_.parts) {
    const uint64_t size = part.bytes() / matrices, begin = part.begin + slice * size;
    checkpoint_.map(part.file)->release(begin, begin + size);
  }
}

void CommitJob::release(uint64_t offset, uint64_t size) const {
  const uint64_t begin = target_.info.begin + offset;
  checkpoint_.map(target_.info.file)->release(begin, begin + size);
}

void CommitJob::put(Segment& segment, int64_t slab, Progress* progress) {
  const int64_t first = slab * segment.step, count = std::min(segment.step, segment.rows - first);
  const uint64_t offset = segment.begin + static_cast<uint64_t>(first * segment.row_bytes);
  const auto size = static_cast<size_t>(count * segment.row_bytes);
  std::unique_ptr<std::byte[]> buffer;
  std::span<const std::byte> bytes;
  if (segment.piece) {
    buffer = std::make_unique_for_overwrite<std::byte[]>(size);
    segment.matrix->write(first, count, buffer.get());
    bytes = {buffer.get(), size};
  } else {
    bytes = checkpoint_.data(target_.info).subspan(offset, size);
  }
  file_.pwrite(target_.info.name, offset, bytes);
  if (progress) progress->step(static_cast<int64_t>(size));
  hash_.add(segment.first_slab + slab, bytes);
  if (!target_.quantised) release(offset, size);
}

}  // namespace lenswright
