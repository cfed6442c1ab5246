#pragma once

#include <filesystem>
#include <optional>

#include "base/progress.h"

namespace lenswright {

/// What a revert has done.
struct Reverted {
  size_t restored = 0;    // tensors that the journal brought back
  size_t carried = 0;     // tensors that the commit had not touched
  size_t steps_left = 0;  // earlier commits that the restored folder still carries
};

/// Writes to the new folder `output` the checkpoint that the last commit to `folder` was made of,
/// bit for bit: from the edited weights, lenswright.json and the journal. Streams. Every tensor
/// that the commit changed has its SHA-256 of before, or nothing is written.
///
/// Without an output it takes the folder's place, in one step at the end, as a commit in place
/// does: whenever the process dies, the folder is the edited one or the original.
///
/// ValueError where the folder has no record or the commit kept no journal; CheckpointError where a
/// tensor, named, is not as it was committed, or the journal is damaged.
Reverted revert(const std::filesystem::path& folder,
                const std::optional<std::filesystem::path>& output, Progress* progress = nullptr);

}  // namespace lenswright
