#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/checkpoint_error.h"
#include "io/json.h"
#include "io/mapped_file.h"
#include "io/open_file.h"
#include "io/safetensors.h"

namespace lenswright {

/// A checkpoint folder (or one .safetensors file), validated whole before a byte is trusted:
/// headers of every shard are read at open, data is mapped when first asked for.
///
/// Which files: the shards of model.safetensors.index.json (or of the only
/// *.safetensors.index.json), else model.safetensors, else the only *.safetensors file. Several
/// without an index are refused. Pickled weights are never opened. Links: a file of the folder may
/// be a symbolic link only when it resolves inside the folder, or, in a snapshot of the hub's cache
/// (CACHE/REPO/snapshots/REVISION), inside CACHE/REPO/blobs or the store that repositories share,
/// CACHE/blobs.
class Checkpoint {
 public:
  static std::shared_ptr<Checkpoint> open(const std::filesystem::path& folder_or_file,
                                          ReadOptions options = {});

  /// As given to open.
  const std::filesystem::path& path() const { return path_; }
  /// The folder that holds the files.
  const std::filesystem::path& folder() const { return folder_; }

  /// All tensors, shard by shard, in offset order.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  bool contains(std::string_view name) const;
  /// std::out_of_range with the nearest name when there is none.
  const TensorInfo& info(std::string_view name) const;
  std::vector<std::string> names() const;

  bool has_config() const { return config_.has_value(); }
  /// config.json; std::invalid_argument when the folder has none.
  const Json& config() const;

  std::vector<std::string> shards() const { return shards_; }
  const SafetensorsHeader& header(std::string_view shard) const;
  /// The header's bytes as they are in the file, padding included, without the length before them.
  std::string header_bytes(std::string_view shard) const;
  /// The shard, opened for reading, to copy or hash its bytes; CheckpointError when it is no longer
  /// the file that was validated.
  OpenFile open_shard(std::string_view shard) const;
  /// Name of the index file, "" when there is none.
  const std::string& index_name() const { return index_name_; }
  uint64_t trailing_bytes() const;

  /// Plain files to carry along (tokenizer, templates, generation_config.json, licence …): no
  /// weights, no index, no config.json, no hidden files, no folders. Basenames, sorted.
  std::vector<std::string> other_files() const;
  /// Weight files in the folder that this checkpoint does not use. Basenames, sorted.
  std::vector<std::string> unused_weights() const;
  std::filesystem::path file(std::string_view name) const { return folder_ / name; }

  /// The bytes of a tensor in the private map of its shard, which is mapped on first use. Writable:
  /// changes stay in this process. The start may be unaligned.
  std::span<std::byte> data(const TensorInfo& tensor) const;
  std::shared_ptr<MappedFile> map(std::string_view shard) const;

 private:
  Checkpoint() = default;
  void read_folder(const std::filesystem::path& folder);
  void read_index(const std::string& name);
  void read_shard(const std::string& name, const std::filesystem::path& resolved);
  void read_config();
  void collect();

  struct Shard {
    std::filesystem::path path;  // resolved
    FileIdentity identity;       // of the file whose header was read
    SafetensorsHeader header;
    mutable std::shared_ptr<MappedFile> map;
  };
  const Shard& shard(std::string_view name) const;

  std::filesystem::path path_;
  std::filesystem::path folder_;
  ReadOptions options_;
  std::vector<std::string> shards_;
  std::string index_name_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, size_t> by_name_;
  std::optional<Json> config_;
  std::map<std::string, Shard, std::less<>> files_;
  mutable std::mutex mutex_;  // of the maps
};

}  // namespace lenswright
