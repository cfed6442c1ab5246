#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/progress.h"
#include "io/open_file.h"
#include "io/safetensors.h"

namespace lenswright {

/// What a writer must be told of a tensor.
struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
};

/// The header of a file with these tensors in this order, spelt and padded as the reference writer
/// does (8-byte multiple, spaces), without the length before it. Checks names, shapes, limits.
std::string make_header(std::span<const TensorSpec> tensors, const Metadata& metadata);

/// The reference writer's order: wide types first, then by name.
void sort_as_reference(std::vector<TensorSpec>& tensors);

/// Writes one safetensors file: the header at once, then the bytes of each tensor at their final
/// place, in any order and from any thread. The file appears under its name in finish(), or not
/// at all; until then it is `.NAME.partial-PID-xxxx` beside it.
class FileWriter : public std::enable_shared_from_this<FileWriter> {
 public:
  FileWriter(const std::filesystem::path& path, std::span<const TensorSpec> tensors,
             const Metadata& metadata);
  /// With the header's bytes given: they must describe exactly what they are to hold. This is how
  /// an unchanged file of any writer is written back byte for byte.
  FileWriter(const std::filesystem::path& path, std::string header);
  /// Abandons what is not finished.
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  /// The tensors with their final offsets.
  const std::vector<TensorInfo>& tensors() const { return header_.tensors; }

  /// Writes bytes of a tensor from `offset` on. No byte may be written twice.
  void pwrite(std::string_view name, uint64_t offset, std::span<const std::byte> bytes);
  /// What the disk has leaves the page cache while the rest is written.
  void forget_written() { forgets_ = true; }
  /// Bytes of a tensor as they are in the file now; for what an earlier process wrote.
  bool read(std::string_view name, uint64_t offset, std::span<std::byte> bytes) const;
  /// Takes a whole tensor for written.
  void adopt(std::string_view name);
  /// Copies a whole tensor of `bytes` bytes from an open file, within the kernel where it can.
  void copy(std::string_view name, int source, uint64_t source_offset, uint64_t bytes,
            Progress* progress = nullptr);

  /// Checks that every byte was written, makes the file durable and gives it its name.
  /// Never replaces an existing file.
  void finish();
  /// Removes the temporary file; nothing can be written any more.
  void abandon() noexcept;

 private:
  friend class FolderWriter;
  struct Place {
    std::filesystem::path final_path;
    std::filesystem::path temporary;
    bool kept =
        false;  // a file of this header that is there already stays as it is, unfinished too
  };
  using Spans = std::map<uint64_t, uint64_t>;  // begin -> end, disjoint, neighbours merged

  FileWriter(Place place, const std::string& header);
  void start(const std::string& header);
  bool take_over(std::span<const std::byte> prefix);
  const TensorInfo& claim(std::string_view name, uint64_t offset, uint64_t count);
  void check_complete() const;
  void sync();
  void publish();

  Place place_;
  SafetensorsHeader header_;
  std::unordered_map<std::string_view, size_t> by_name_;
  mutable std::mutex mutex_;
  std::vector<Spans> written_;  // per tensor
  OpenFile file_;
  std::atomic<uint64_t> unsent_{0};  // bytes written since the disk was last told
  bool forgets_ = false;
  bool done_ = false;  // finished or abandoned
};

}  // namespace lenswright
