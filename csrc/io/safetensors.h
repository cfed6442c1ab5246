#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "io/checkpoint_error.h"

namespace lenswright {

// Strict reading of safetensors headers. Never laxer than the reference implementation (Rust), and
// stricter in these classes only; each has its Flaw:
//   duplicate  the same key twice: a tensor, or a name in __metadata__ (the reference keeps the
//   last) limit      more than 1,000,000 tensors or entries of __metadata__, 64 dimensions, or
//   4,096 bytes
//              in a tensor's name
//   overflow   a dimension, or an element count with zeros left out, beyond 2^63 - 1 (the
//   reference:
//              2^64 - 1, zeros included)
//   form       spellings that its deserialiser tolerates and no writer emits: fields other than
//              dtype, shape and data_offsets in an entry, an entry written as an array, a dtype
//              written as an object, __metadata__: null
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxTensors = 1'000'000;
inline constexpr size_t kMaxNameBytes = 4096;
inline constexpr size_t kMaxDimensions = 64;

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // offsets from the start of the file
  uint64_t end = 0;
  std::string file;  // basename of the shard

  int64_t numel() const;
  uint64_t bytes() const { return end - begin; }
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in offset order
  Metadata metadata;                // in file order
  uint64_t data_start = 0;          // 8 + the length of the header
  uint64_t file_size = 0;
  uint64_t trailing_bytes = 0;  // not 0 only when ReadOptions::lenient let them pass
};

struct ReadOptions {
  bool lenient = false;  // accept bytes after the last tensor
};

/// The length of the header from the first 8 bytes of a file, checked against the file's size.
uint64_t header_length(std::span<const std::byte> first_bytes, uint64_t file_size,
                       std::string_view file);

/// Reads and validates a header. `prefix`: at least the first 8 + length bytes of the file.
/// Throws CheckpointError with `file`, the tensor and the offset where known.
SafetensorsHeader parse_header(std::span<const std::byte> prefix, uint64_t file_size,
                               std::string_view file, ReadOptions options = {});

/// Bytes of a tensor of this type and shape; nullopt on overflow or when the bits fill no whole
/// number of bytes.
std::optional<uint64_t> tensor_bytes(Dtype dtype, std::span<const int64_t> shape);

}  // namespace lenswright
