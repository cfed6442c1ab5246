#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace lenswright {

/// A whole file mapped privately: writes stay in this process (copy on write) and never reach the
/// file. A file that is truncated by somebody else while mapped faults on access, so
/// check_unchanged() is called before every use; keep the object alive while its bytes are used.
class MappedFile {
 public:
  /// Throws FileError when the file cannot be opened or mapped.
  static std::shared_ptr<MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  /// The open file, for copying ranges within the kernel.
  int descriptor() const { return descriptor_; }

  /// Throws CheckpointError (Flaw::changed) when the file is no longer as long as it was.
  void check_unchanged() const;

  enum class Advice { normal, sequential, will_need };
  void advise(Advice advice, uint64_t begin, uint64_t end) const;
  /// Gives the memory of a range back. Private changes in that range are lost.
  void release(uint64_t begin, uint64_t end) const;

 private:
  MappedFile(std::filesystem::path path, int descriptor, uint64_t size, std::byte* data);

  std::filesystem::path path_;
  int descriptor_;
  uint64_t size_;
  std::byte* data_;
};

}  // namespace lenswright
