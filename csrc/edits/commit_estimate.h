#pragma once

#include <cstdint>
#include <filesystem>

#include "edits/commit.h"
#include "edits/edit.h"

namespace lenswright {

/// What a commit will take, found without writing anything that stays.
struct CommitEstimate {
  size_t writers = 0;         // that the edit changes
  size_t tensors = 0;         // stored ones that are computed anew
  int64_t edited_bytes = 0;   // of these, as they are written
  int64_t read_bytes = 0;     // edited ones are read once for their hash and again to be edited
  int64_t written_bytes = 0;  // of all tensors
  int64_t free_bytes = 0;     // on the disk that is written to
  int64_t memory_bytes = 0;   // private memory, at most
  double seconds = 0;         // with the disk and the processor as they are now
  bool unties = false;        // embeddings are tied, and will not be
  int64_t dequantised = 0;    // tensors that are quantised, and will not be
};

/// Checks all that commit() checks before its first byte, the hashes of the tensors that the edit
/// was made for included, and tells what it will take. The time is that of hashing, which is done;
/// of editing, of which a sample is done; and of writing, of which a sample is written beside the
/// output, with the name of a hidden file, and removed. Throws what commit() throws.
CommitEstimate estimate_commit(const Edit& edit, const std::filesystem::path& input,
                               const std::filesystem::path& output,
                               const CommitOptions& options = {});

}  // namespace lenswright
