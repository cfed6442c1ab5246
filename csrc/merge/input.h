#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/checkpoint.h"

namespace lenswright {

/// A model that is merged: tensors by name, and its config.
class Input {
 public:
  virtual ~Input();

  const std::string& name() const { return name_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  /// Null where there is none.
  const TensorInfo* find(std::string_view tensor) const;
  /// config.json; null where there is none.
  const Json& config() const { return config_; }
  /// The checkpoint it is of; null for one in memory.
  virtual const Checkpoint* checkpoint() const { return nullptr; }

  /// All that it is read from.
  virtual std::vector<const Checkpoint*> checkpoints() const;
  /// The checkpoint whose file has exactly the bytes that read() gives; null where none has.
  virtual const Checkpoint* holder(const TensorInfo&) const { return checkpoint(); }
  /// The type it is stored in, which may be narrower than the one it is read in.
  virtual Dtype stored(const TensorInfo& tensor) const { return tensor.dtype; }

  /// A tensor will be read soon, from the first byte to the last: the disk may begin.
  virtual void expect(const TensorInfo&) const {}
  /// It will not be read again: the page cache need not keep it.
  virtual void forget(const TensorInfo&) const {}

  /// Private memory that reading takes beside the caller's room, at most.
  virtual uint64_t held() const { return 0; }

  /// `size` bytes of a tensor from `offset` on: in `room`, or where they are already.
  virtual const std::byte* read(const TensorInfo& tensor, uint64_t offset, uint64_t size,
                                std::byte* room) const = 0;

 protected:
  Input(std::string name, std::vector<TensorInfo> tensors, Json config);

 private:
  std::string name_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, size_t> by_name_;
  Json config_;
};

using Inputs = std::vector<std::shared_ptr<const Input>>;

/// A folder or file.
std::shared_ptr<const Input> open_input(const std::string& name, const std::filesystem::path& path);

/// Tensors in memory, whose bytes stay the caller's; `config`: null, or their config.json.
std::shared_ptr<const Input> memory_input(const std::string& name, std::vector<TensorInfo> tensors,
                                          std::vector<std::span<const std::byte>> bytes,
                                          Json config = Json());

/// The tensors of a merge that is still to be done: it can be planned with, not read.
std::shared_ptr<const Input> planned_input(const std::string& name, std::vector<TensorInfo> tensors,
                                           Json config);

}  // namespace lenswright
