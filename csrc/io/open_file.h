#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

namespace lenswright {

/// An open descriptor that closes itself.
class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
  /// Opens a regular file for reading; FileError for anything else.
  explicit OpenFile(const std::filesystem::path& path);
  ~OpenFile();
  OpenFile(OpenFile&& other) noexcept : descriptor_(other.release()) {}
  OpenFile& operator=(OpenFile&& other) noexcept;

  int get() const { return descriptor_; }
  int release();
  uint64_t size() const;

 private:
  int descriptor_ = -1;
};

/// Tells a file from one that took its name, and from itself after a change.
struct FileIdentity {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified = 0;  // nanoseconds
  bool operator==(const FileIdentity&) const = default;
};
FileIdentity identity(int descriptor);

/// Reads exactly bytes.size() bytes; false when the file ends before.
bool read_at(int descriptor, uint64_t offset, std::span<std::byte> bytes);
/// Writes all of the bytes.
void write_at(int descriptor, uint64_t offset, std::span<const std::byte> bytes);

/// Lets the disk begin with what was written to an open file, beside our computing, and not only at
/// the fsync. Advice: it may do nothing.
void begin_writeback(int descriptor);

/// Has the disk begin to read a range before it is asked for. Advice.
void read_ahead(int descriptor, uint64_t offset, uint64_t count);

/// Lets the page cache drop a range (`count` 0: all from there on) as far as the disk has it, so
/// that files larger than memory do not push out everybody else's. Advice.
void forget_pages(int descriptor, uint64_t offset, uint64_t count);

/// Bytes of memory that programs may still take; what only the page cache holds counts as free.
uint64_t available_memory();

/// Copies a range between open files: shares its blocks where the file system can, has a server
/// copy where there is one, and else goes through a buffer. `step` hears of every piece. FileError
/// when the source ends early.
void copy_range(int source, uint64_t source_offset, int target, uint64_t target_offset,
                uint64_t count, const std::function<void(uint64_t)>& step = {});

/// A new file for writing; never an existing one. `bytes` are reserved where the file system can,
/// so that a full disk is found before the first byte is written.
OpenFile create_file(const std::filesystem::path& path, uint64_t bytes = 0);

/// Renames without ever replacing what has the new name already (FileError, EEXIST).
void rename_new(const std::filesystem::path& from, const std::filesystem::path& to);

/// Gives two paths each other's names, in one step.
void exchange(const std::filesystem::path& one, const std::filesystem::path& other);

/// `.NAME.partial-PID-xxxx` beside `path`.
std::filesystem::path partial_path(const std::filesystem::path& path);

/// A whole small file as text.
std::string read_text(const std::filesystem::path& path, uint64_t limit = 256u << 20);

/// Makes a folder's entries durable.
void sync_folder(const std::filesystem::path& folder);

}  // namespace lenswright
