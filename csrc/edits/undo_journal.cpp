#include "edits/undo_journal.h"

#include <array>
#include <bit>
#include <cstring>

#include "io/checkpoint_error.h"

namespace lenswright {
namespace {

constexpr std::string_view kMagic = "LWJRNL01";
constexpr uint64_t kEnd = 8;                        // of the length at the end
constexpr uint64_t kLongest = uint64_t{256} << 20;  // an index
static_assert(std::endian::native == std::endian::little);

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

UndoWriter::UndoWriter(OpenFile file) : file_(std::move(file)), end_(kMagic.size()) {
  write_at(file_.get(), 0, bytes_of(kMagic));
}

size_t UndoWriter::reserve(const std::string& owner, size_t count) {
  const std::lock_guard lock(mutex_);
  PieceRange& range = ranges_.try_emplace(owner, PieceRange{reserved_, 0}).first->second;
  range.count += count;
  reserved_ += count;
  return reserved_ - count;
}

void UndoWriter::put(size_t piece, std::string_view text) {
  const auto bytes = bytes_of(text);
  put(piece, std::vector<std::byte>(bytes.begin(), bytes.end()));
}

void UndoWriter::put(size_t piece, std::vector<std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  waiting_.emplace(piece, std::move(bytes));
  for (auto next = waiting_.begin(); next != waiting_.end() && next->first == lengths_.size();
       next = waiting_.erase(next)) {
    write_at(file_.get(), end_, next->second);
    end_ += next->second.size();
    lengths_.push_back(next->second.size());
  }
}

uint64_t UndoWriter::finish(Json about) {
  Json lengths = Json::array();
  for (const uint64_t length : lengths_) lengths.push_back(length);
  about.set("lengths", lengths);
  const std::string text = about.dump();
  const uint64_t length = text.size();
  write_at(file_.get(), end_, bytes_of(text));
  write_at(file_.get(), end_ + length, std::as_bytes(std::span(&length, 1)));
  return end_ + length + kEnd;
}

UndoReader::UndoReader(const std::filesystem::path& path)
    : name_(path.filename().string()), file_(path) {
  const uint64_t size = file_.size();
  std::array<char, 8> magic{};
  uint64_t length = 0;
  if (size < kMagic.size() + kEnd ||
      !read_at(file_.get(), 0, std::as_writable_bytes(std::span(magic))) ||
      std::string_view(magic.data(), magic.size()) != kMagic) {
    refuse("is no journal of lenswright");
  }
  read_at(file_.get(), size - kEnd, std::as_writable_bytes(std::span(&length, 1)));
  if (length > kLongest || length > size - kEnd - kMagic.size()) refuse("is cut off");
  std::string text(length, '\0');
  const uint64_t begin = size - kEnd - length;
  read_at(file_.get(), begin, std::as_writable_bytes(std::span(text)));
  about_ = Json::parse(text, name_);
  begins_.push_back(kMagic.size());
  for (const Json& json : about_.at("lengths").elements()) {
    const int64_t bytes = json.as_int();
    if (bytes < 0 || static_cast<uint64_t>(bytes) > begin - begins_.back()) refuse("is cut off");
    begins_.push_back(begins_.back() + static_cast<uint64_t>(bytes));
  }
  if (begins_.back() != begin) refuse("has bytes that belong to nothing");
}

void UndoReader::refuse(const std::string& what) const {
  throw CheckpointError(Flaw::layout, name_, what);
}

std::vector<std::byte> UndoReader::piece(size_t index) const {
  if (index >= pieces()) refuse("has no piece " + std::to_string(index));
  std::vector<std::byte> bytes(begins_[index + 1] - begins_[index]);
  if (!read_at(file_.get(), begins_[index], bytes)) refuse("is cut off");
  return bytes;
}

std::string UndoReader::text(size_t index) const {
  const std::vector<std::byte> bytes = piece(index);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

PieceRange UndoReader::range(const Json& json) const {
  const int64_t first = json.at("first").as_int(), count = json.at("count").as_int();
  const auto all = static_cast<int64_t>(pieces());
  if (first < 0 || count < 0 || first > all || count > all - first) {
    refuse(json.where() + " names pieces that are not there");
  }
  return {static_cast<size_t>(first), static_cast<size_t>(count)};
}

}  // namespace lenswright
