#include "edits/commit_job.h"

#include <algorithm>
#include <memory>

namespace lenswright {

CommitJob::CommitJob(const Checkpoint& checkpoint, const CommitTarget& target, FileWriter& file,
                     UndoWriter* journal)
    : checkpoint_(checkpoint),
      target_(target),
      pieces_(target.quantised ? target.change.all_pieces(target.info.shape)
                               : target.change.pieces),
      file_(file),
      journal_(target.quantised ? nullptr : journal) {  // its codes are kept as they are
  for (const Segment& segment : segments_of(target.info, pieces_)) {
    Work& work = segments_.emplace_back(segment);
    if (!journal_ || !segment.piece) continue;
    work.kept = journal_->reserve(target.info.name, static_cast<size_t>(segment.slabs()) + 1);
    work.undo.emplace(matrix_of(*segment.piece), segment.piece->factors, target.info.name);
  }
}

StoredMatrix CommitJob::matrix_of(const Piece& piece) const {
  const TensorInfo& info = target_.info;
  if (target_.quantised) return piece.matrix(*target_.quantised, info.shape);
  StoredMatrix matrix = piece.matrix(info.dtype, info.shape, checkpoint_.data(info).data());
  matrix.name = info.name;
  return matrix;
}

void CommitJob::prepare(size_t index) {
  Work& segment = segments_[index];
  std::call_once(segment.prepared, [&] {
    checkpoint_.map(target_.info.file)->check_unchanged();
    for (const TensorInfo& part : target_.parts) checkpoint_.map(part.file)->check_unchanged();
    if (!segment.piece) return;
    segment.matrix.emplace(matrix_of(*segment.piece), segment.piece->factors, 1);
    if (segment.undo) journal_->put(segment.kept, segment.undo->keep(segment.matrix->along()));
  });
}

void CommitJob::write(size_t index, int64_t slab, Progress* progress) {
  Work& segment = segments_[index];
  try {
    prepare(index);
    put(segment, slab, progress);
  } catch (...) {  // whatever it is, those who wait for their turn at the hash must hear of it
    hash_.fail(std::current_exception());
    throw;
  }
  if (--segment.left > 0) return;
  segment.matrix.reset();
  segment.undo.reset();
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

void CommitJob::note(const Work& segment, int64_t slab, const std::byte* after) {
  const std::byte* const before = checkpoint_.data(target_.info).data() + segment.offset(slab);
  journal_->put(segment.kept + 1 + static_cast<size_t>(slab),
                segment.undo->encode(slab * segment.step, segment.rows_of(slab), before, after));
}

void CommitJob::put(Work& segment, int64_t slab, Progress* progress) {
  const int64_t first = slab * segment.step, count = segment.rows_of(slab);
  const uint64_t offset = segment.offset(slab);
  const auto size = static_cast<size_t>(count * segment.row_bytes);
  std::unique_ptr<std::byte[]> buffer;
  std::span<const std::byte> bytes;
  if (segment.piece) {
    buffer = std::make_unique_for_overwrite<std::byte[]>(size);
    segment.matrix->write(first, count, buffer.get());
    bytes = {buffer.get(), size};
    if (segment.undo) note(segment, slab, bytes.data());
  } else {
    bytes = checkpoint_.data(target_.info).subspan(offset, size);
  }
  file_.pwrite(target_.info.name, offset, bytes);
  if (progress) progress->step(static_cast<int64_t>(size));
  hash_.add(segment.first_slab + slab, bytes);
  if (!target_.quantised) release(offset, size);
}

}  // namespace lenswright
