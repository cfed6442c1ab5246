#include "edits/revert_job.h"

#include <algorithm>
#include <memory>

#include "base/corrections.h"

namespace lenswright {
namespace {

void check_hash(const std::string& found, const std::string& expected, const TensorInfo& info) {
  if (found == expected) return;
  throw CheckpointError(Flaw::changed, info.file,
                        "brought back it has SHA-256 " + found + ", before the commit it had " +
                            expected + ": the journal or lenswright.json is damaged",
                        info.name);
}

}  // namespace

RevertJob::RevertJob(const Checkpoint& edited, const CommitTarget& target,
                     const UndoReader& journal, const Json& json, FileWriter& file)
    : edited_(edited),
      target_(target),
      journal_(journal),
      before_(json.at("before").as_string()),
      file_(file) {
  const PieceRange range = journal.range(json);
  const TensorInfo& info = target.info;
  size_t next = range.first;
  for (const Segment& segment : segments_of(info, target.change.pieces)) {
    Work& work = segments_.emplace_back(segment);
    if (!segment.piece) continue;
    work.undo.emplace(segment.piece->matrix(info.dtype, info.shape, nullptr),
                      segment.piece->factors, info.name);
    work.kept = next;
    next += static_cast<size_t>(segment.slabs()) + 1;
  }
  if (next != range.first + range.count) {
    journal.refuse("has " + std::to_string(range.count) + " pieces for tensor '" + info.name +
                   "', expected " + std::to_string(next - range.first));
  }
}

void RevertJob::write(size_t index, int64_t slab, Progress* progress) {
  try {
    put(segments_[index], slab, progress);
  } catch (...) {  // those who wait for their turn at the hash must hear of it
    hash_.fail(std::current_exception());
    throw;
  }
}

void RevertJob::put(Work& segment, int64_t slab, Progress* progress) {
  const uint64_t offset = segment.offset(slab);
  const auto size = static_cast<size_t>(segment.rows_of(slab) * segment.row_bytes);
  std::span<const std::byte> bytes = edited_.data(target_.info).subspan(offset, size);
  std::unique_ptr<std::byte[]> buffer;
  if (segment.undo) {
    std::call_once(segment.prepared, [&] { segment.undo->set(journal_.piece(segment.kept)); });
    buffer = std::make_unique_for_overwrite<std::byte[]>(size);
    segment.undo->decode(slab * segment.step, segment.rows_of(slab), bytes.data(),
                         journal_.piece(segment.kept + 1 + static_cast<size_t>(slab)),
                         buffer.get());
    bytes = {buffer.get(), size};
  }
  file_.pwrite(target_.info.name, offset, bytes);
  if (progress) progress->step(static_cast<int64_t>(size));
  hash_.add(segment.first_slab + slab, bytes);
  const uint64_t begin = target_.info.begin + offset;
  edited_.map(target_.info.file)->release(begin, begin + size);
}

void RevertJob::check() const { check_hash(hash_.hex(), before_, target_.info); }

KeptJob::KeptJob(const TensorInfo& info, const UndoReader& journal, const Json& json,
                 FileWriter& file)
    : info_(info),
      journal_(journal),
      range_(journal.range(json)),
      sha256_(json.at("sha256").as_string()),
      file_(file) {
  if (range_.count == (info.bytes() + kSlabBytes - 1) / kSlabBytes) return;
  journal.refuse("has " + std::to_string(range_.count) + " pieces for tensor '" + info.name +
                 "', which its size does not ask for");
}

void KeptJob::write(int64_t slab, Progress* progress) {
  const auto begin = static_cast<uint64_t>(slab * kSlabBytes);
  std::vector<std::byte> bytes(std::min<uint64_t>(kSlabBytes, info_.bytes() - begin));
  try {
    decode_bytes(journal_.piece(range_.first + static_cast<size_t>(slab)), bytes);
    file_.pwrite(info_.name, begin, bytes);
    if (progress) progress->step(static_cast<int64_t>(bytes.size()));
    hash_.add(slab, bytes);
  } catch (...) {
    hash_.fail(std::current_exception());
    throw;
  }
}

void KeptJob::check() const { check_hash(hash_.hex(), sha256_, info_); }

}  // namespace lenswright
