#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "edits/commit_plan.h"
#include "edits/ordered_hash.h"
#include "edits/segments.h"
#include "edits/undo.h"
#include "edits/undo_journal.h"
#include "io/file_writer.h"

namespace lenswright {

/// One edited tensor on its way back: the counterpart of CommitJob.
class RevertJob {
 public:
  /// `json`: what the journal says of the tensor. CheckpointError where that does not fit it.
  RevertJob(const Checkpoint& edited, const CommitTarget& target, const UndoReader& journal,
            const Json& json, FileWriter& file);

  size_t segments() const { return segments_.size(); }
  int64_t slabs(size_t segment) const { return segments_[segment].slabs(); }
  /// Slabs are begun in order.
  void write(size_t segment, int64_t slab, Progress* progress);
  /// CheckpointError where what was written has another SHA-256 than before the commit.
  void check() const;

 private:
  struct Work : Segment {
    explicit Work(const Segment& segment) : Segment(segment) {}
    std::optional<Undo> undo{};
    std::once_flag prepared{};
    size_t kept = 0;  // place in the journal
  };
  void put(Work& segment, int64_t slab, Progress* progress);

  const Checkpoint& edited_;
  const CommitTarget& target_;
  const UndoReader& journal_;
  std::string before_;
  FileWriter& file_;
  std::deque<Work> segments_;
  OrderedHash hash_;
};

/// One tensor that was kept whole, in slabs.
class KeptJob {
 public:
  KeptJob(const TensorInfo& info, const UndoReader& journal, const Json& json, FileWriter& file);
  int64_t slabs() const { return static_cast<int64_t>(range_.count); }
  void write(int64_t slab, Progress* progress);
  void check() const;

 private:
  const TensorInfo& info_;
  const UndoReader& journal_;
  PieceRange range_;
  std::string sha256_;
  FileWriter& file_;
  OrderedHash hash_;
};

}  // namespace lenswright
