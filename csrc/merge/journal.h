#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string>

#include "io/open_file.h"
#include "merge/plan.h"

namespace lenswright {

/// A number that other bytes, or the same elsewhere, would hardly have. Sums of it over pieces do
/// not depend on the order of the pieces.
uint64_t checksum(uint64_t offset, std::span<const std::byte> bytes);

/// Of all that decides what a merge writes: the plan, and the files it reads.
std::string fingerprint(const MergePlan& plan);

/// What a merge has finished, line by line, so that another process can go on: the number of a
/// tensor and the sum of the checksums of its pieces.
class Journal {
 public:
  /// Reads what is there; a line that was never finished is not.
  explicit Journal(const std::filesystem::path& path);

  const std::map<size_t, uint64_t>& finished() const { return finished_; }
  /// From any thread.
  void add(size_t job, uint64_t sum);

 private:
  std::map<size_t, uint64_t> finished_;
  OpenFile file_;
  std::mutex mutex_;
};

}  // namespace lenswright
