#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>

#include "base/progress.h"
#include "edits/commit_plan.h"
#include "edits/ordered_hash.h"
#include "io/file_writer.h"

namespace lenswright {

/// One tensor on its way to its new file: a row of segments, edited or copied, that follow one
/// another in it. Each is done in slabs which any thread may take, begun in order.
class CommitJob {
 public:
  CommitJob(const Checkpoint& checkpoint, const CommitTarget& target, FileWriter& file);

  size_t segments() const { return segments_.size(); }
  int64_t slabs(size_t segment) const { return segments_[segment].slabs(); }

  /// The first pass over a segment, which its first slab would otherwise have to wait for.
  void prepare(size_t segment);
  void write(size_t segment, int64_t slab, Progress* progress);
  /// SHA-256 of what was written, once every slab is.
  std::string hash() const { return hash_.hex(); }

 private:
  struct Segment {
    uint64_t begin = 0;  // within the tensor, in bytes
    int64_t rows = 0;
    int64_t row_bytes = 0;
    const Piece* piece = nullptr;  // none: copied
    int64_t step = 1;              // rows of a slab
    int64_t first_slab = 0;        // of the tensor's
    std::once_flag prepared{};
    std::optional<EditedMatrix> matrix{};
    std::atomic<int64_t> left{0};

    int64_t slabs() const { return (rows + step - 1) / step; }
    uint64_t bytes() const { return static_cast<uint64_t>(rows * row_bytes); }
  };

  void add(uint64_t begin, int64_t rows, int64_t row_bytes, const Piece* piece);
  StoredMatrix matrix_of(const Piece& piece) const;
  void put(Segment& segment, int64_t slab, Progress* progress);
  /// Gives back the memory of a part of the tensor that nobody reads any more.
  void release(uint64_t offset, uint64_t size) const;
  void release_quantised(const Segment& segment) const;

  const Checkpoint& checkpoint_;
  const CommitTarget& target_;
  std::vector<Piece> pieces_;
  FileWriter& file_;
  std::deque<Segment> segments_;
  int64_t all_slabs_ = 0;
  OrderedHash hash_;
};

}  // namespace lenswright
