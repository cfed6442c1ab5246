#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/progress.h"

namespace lenswright {

/// What a look at a committed folder found.
struct Recheck {
  std::map<std::string, std::string> wrong;  // tensor -> what is the matter with it
  size_t edited = 0;                         // tensors that the record is about
  size_t derived = 0;                        // of these, made again from the base's
  size_t untouched = 0;                      // others, compared with the base's
  size_t steps = 0;                          // commits
};

/// Whether a folder's weights are what its lenswright.json says. Edited tensors must have the
/// SHA-256 that the commits wrote. With `base`, the folder that the first step was made of, each is
/// also made again from the base's tensor and the recorded factors, and every other tensor must be
/// the base's, byte for byte. One tensor at a time is held in memory.
///
/// ValueError where the folder has no record, or the base is not what the first step was made of.
Recheck recheck(const std::filesystem::path& folder,
                const std::optional<std::filesystem::path>& base, Progress* progress = nullptr);

}  // namespace lenswright
