#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace lenswright {

/// Why a file was refused: a word for programs; what() is the sentence for people.
enum class Flaw : uint8_t {
  truncated,      // shorter than its own header says
  header_length,  // the length field is impossible
  encoding,       // the header is not UTF-8
  syntax,         // the header is not JSON
  entry,          // an entry lacks a field or has one of the wrong type
  dtype,          // an unknown element type
  overflow,       // the shape does not fit in 64 bits
  size,           // dtype, shape and offsets disagree
  offsets,        // a hole or an overlap
  trailing,       // bytes after the last tensor
  duplicate,      // the same key twice
  limit,          // beyond a cap of this reader
  form,           // accepted by others, never written by any: see io/safetensors.h
  index,          // the shard index and the shards disagree
  path,           // a name that leads out of the folder
  pickle,         // pickled weights, never opened
  layout,         // not a checkpoint folder
  changed,        // the file changed after it was opened
};

const char* flaw_name(Flaw flaw);

/// A checkpoint that is not what it claims to be. what() names the file and, where known, the
/// tensor and the byte offset.
class CheckpointError : public std::runtime_error {
 public:
  CheckpointError(Flaw flaw, std::string file, const std::string& message, std::string tensor = {},
                  std::optional<uint64_t> offset = std::nullopt);
  ~CheckpointError() override;

  Flaw flaw() const { return flaw_; }
  const std::string& file() const { return file_; }
  const std::string& tensor() const { return tensor_; }
  std::optional<uint64_t> offset() const { return offset_; }
  const std::string& message() const { return message_; }

 private:
  Flaw flaw_;
  std::string file_;
  std::string tensor_;
  std::string message_;
  std::optional<uint64_t> offset_;
};

}  // namespace lenswright
