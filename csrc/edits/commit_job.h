#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>

#include "base/progress.h"
#include "edits/commit_plan.h"
#include "edits/ordered_hash.h"
#include "edits/segments.h"
#include "edits/undo.h"
#include "edits/undo_journal.h"
#include "io/file_writer.h"

namespace lenswright {

/// One tensor on its way to its new file, segment by segment, each in slabs that are begun in
/// order.
class CommitJob {
 public:
  /// Where there is a journal, it is told how to get back from what is written.
  CommitJob(const Checkpoint& checkpoint, const CommitTarget& target, FileWriter& file,
            UndoWriter* journal = nullptr);

  size_t segments() const { return segments_.size(); }
  int64_t slabs(size_t segment) const { return segments_[segment].slabs(); }

  /// The first pass over a segment, which its first slab would otherwise have to wait for.
  void prepare(size_t segment);
  void write(size_t segment, int64_t slab, Progress* progress);
  /// SHA-256 of what was written, once every slab is.
  std::string hash() const { return hash_.hex(); }

 private:
  struct Work : Segment {
    explicit Work(const Segment& segment) : Segment(segment), left(segment.slabs()) {}
    std::once_flag prepared{};
    std::optional<EditedMatrix> matrix{};
    std::optional<Undo> undo{};
    size_t kept = 0;  // place in the journal: what the segment keeps, then its slabs
    std::atomic<int64_t> left;
  };

  StoredMatrix matrix_of(const Piece& piece) const;
  void put(Work& segment, int64_t slab, Progress* progress);
  void note(const Work& segment, int64_t slab, const std::byte* after);
  /// Gives back the memory of a part of the tensor that nobody reads any more.
  void release(uint64_t offset, uint64_t size) const;
  void release_quantised(const Segment& segment) const;

  const Checkpoint& checkpoint_;
  const CommitTarget& target_;
  std::vector<Piece> pieces_;
  FileWriter& file_;
  UndoWriter* journal_;
  std::deque<Work> segments_;
  OrderedHash hash_;
};

}  // namespace lenswright
