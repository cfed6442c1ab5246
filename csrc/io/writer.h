#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_writer.h"
#include "io/open_file.h"

namespace lenswright {

class Checkpoint;

/// A folder that is there and is to be replaced.
struct InPlace {
  std::filesystem::path folder;
};

/// Writes a checkpoint folder that appears whole or not at all. Everything goes to
/// `.NAME.partial-PID-xxxx` beside the target, where shards carry the suffix `.partial`; commit()
/// makes it durable and renames it. A killed process may leave that hidden folder behind: it is
/// refused by Checkpoint::open and safe to delete.
class FolderWriter {
 public:
  /// Refuses a target that exists (FileError, EEXIST), whose parent is missing, or that is
  /// equal to, inside or around one of `inputs` (std::invalid_argument).
  explicit FolderWriter(const std::filesystem::path& target,
                        std::span<const std::filesystem::path> inputs = {});
  /// One that can be gone on with after its process was killed: the hidden folder is
  /// `.NAME.partial-KEY`, so `key` must say all that decides what is written. With `resume` what a
  /// killed process left there is kept, and shards of the same header are opened as they are, and
  /// abandoning keeps the folder; without, it is begun anew. FileError (EWOULDBLOCK) where another
  /// process is at it.
  FolderWriter(const std::filesystem::path& target, std::span<const std::filesystem::path> inputs,
               std::string_view key, bool resume);
  /// One that takes the place of a folder, in one step at the end; the old one is removed then.
  /// What a killed process left beside it, `.NAME.partial-in-place`, is removed first: it is a
  /// folder that was never finished, or an old one. FileError (EWOULDBLOCK) where another process
  /// is at it.
  explicit FolderWriter(const InPlace& place);
  /// Abandons what is not committed.
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  const std::filesystem::path& target() const { return target_; }

  /// Starts a .safetensors file; the reference stays valid as long as this object.
  FileWriter& shard(std::string_view name, std::span<const TensorSpec> tensors,
                    const Metadata& metadata);
  /// The same with a header taken over byte for byte (Checkpoint::header_bytes).
  FileWriter& shard(std::string_view name, std::string header);

  /// A file of ours in the hidden folder, gone before the folder appears; its name must end in
  /// ".partial".
  std::filesystem::path aside(std::string_view name);

  /// Copies a plain file under its own name, or under `name`.
  void copy_file(const std::filesystem::path& from, std::string_view name = {});
  void write_text(std::string_view name, std::string_view text);
  /// A plain file for the caller to write.
  OpenFile create(std::string_view name);
  /// Writes model.safetensors.index.json for the shards started so far.
  void write_index(std::string_view name = "model.safetensors.index.json");

  /// Checks that every shard is complete, makes everything durable, renames the folder.
  void commit(Progress* progress = nullptr);
  /// Removes the temporary folder; nothing can be written any more.
  void abandon() noexcept;

 private:
  std::filesystem::path claim(std::string_view name);
  void lock(std::string_view key);
  void check_target(std::span<const std::filesystem::path> inputs) const;

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  std::map<std::string, std::shared_ptr<FileWriter>, std::less<>> shards_;
  std::vector<std::string> names_;
  std::mutex mutex_;
  std::vector<std::filesystem::path> asides_;
  OpenFile lock_;        // of the hidden folder, where it has a key
  bool resume_ = false;  // keep what is there, and what is not finished
  bool over_ = false;    // the target is there and makes way
  bool done_ = false;    // committed or abandoned
};

}  // namespace lenswright
