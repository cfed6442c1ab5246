#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "io/open_file.h"

namespace lenswright {

// A journal beside an edited checkpoint holds what leads back to what it was made from: 8 bytes of
// magic, numbered pieces one after another, an index in JSON, and 8 bytes that say how long that
// is.

/// Some consecutive pieces.
struct PieceRange {
  size_t first = 0, count = 0;
};

/// Writes one. Pieces may come in any order and from any thread; they lie in the order in which
/// they were reserved, so that the file is the same for any number of threads.
class UndoWriter {
 public:
  explicit UndoWriter(OpenFile file);

  /// Room for so many pieces of this owner; the number of the first. An owner that comes again
  /// comes at once, so that all its pieces lie together.
  size_t reserve(const std::string& owner, size_t count);
  PieceRange range(const std::string& owner) const { return ranges_.at(owner); }
  void put(size_t piece, std::vector<std::byte> bytes);
  void put(size_t piece, std::string_view text);
  /// Writes the index: `about`, and what is needed to find the pieces. Bytes of the whole file.
  uint64_t finish(Json about);

 private:
  OpenFile file_;
  std::mutex mutex_;
  std::map<std::string, PieceRange> ranges_;
  std::map<size_t, std::vector<std::byte>> waiting_;  // for those before them
  std::vector<uint64_t> lengths_;
  size_t reserved_ = 0;
  uint64_t end_ = 0;
};

/// Reads one that nobody vouches for: CheckpointError where it is not whole or not a journal.
class UndoReader {
 public:
  explicit UndoReader(const std::filesystem::path& path);

  const Json& about() const { return about_; }
  size_t pieces() const { return begins_.size() - 1; }
  uint64_t bytes() const { return file_.size(); }
  std::vector<std::byte> piece(size_t index) const;
  std::string text(size_t index) const;
  /// What `json` calls {"first": …, "count": …}.
  PieceRange range(const Json& json) const;
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  std::string name_;
  OpenFile file_;
  Json about_;
  std::vector<uint64_t> begins_;
};

}  // namespace lenswright
