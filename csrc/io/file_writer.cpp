#include "io/file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <stdexcept>

#include "base/error.h"
#include "io/json_text.h"

namespace lenswright {

namespace fs = std::filesystem;

std::string make_header(std::span<const TensorSpec> tensors, const Metadata& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      text += json_quote(key) + ":" + json_quote(value) + ",";
    }
    text.back() = '}';
    text += ',';
  }
  uint64_t offset = 0;
  for (const TensorSpec& tensor : tensors) {
    const auto bytes = tensor_bytes(tensor.dtype, tensor.shape);
    if (!bytes || *bytes > std::numeric_limits<uint64_t>::max() - offset) {
      throw std::invalid_argument("tensor " + in_quotes(tensor.name) +
                                  ": its shape is negative, overflows or fills no whole bytes");
    }
    text += json_quote(tensor.name) + ":{\"dtype\":\"" + std::string(wire_name(tensor.dtype)) +
            "\",\"shape\":[";
    for (const int64_t dim : tensor.shape) text += std::to_string(dim) + ",";
    if (!tensor.shape.empty()) text.pop_back();
    text += "],\"data_offsets\":[" + std::to_string(offset) + "," +
            std::to_string(offset + *bytes) + "]},";
    offset += *bytes;
  }
  if (text.back() == ',') text.pop_back();
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

void sort_as_reference(std::vector<TensorSpec>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
}

FileWriter::FileWriter(const fs::path& path, std::span<const TensorSpec> tensors,
                       const Metadata& metadata)
    : FileWriter(path, make_header(tensors, metadata)) {}

FileWriter::FileWriter(const fs::path& path, std::string header)
    : FileWriter(Place{fs::absolute(path), partial_path(fs::absolute(path)), false}, header) {}

FileWriter::FileWriter(Place place, const std::string& header) : place_(std::move(place)) {
  if (fs::exists(fs::symlink_status(place_.final_path))) {
    throw FileError(EEXIST, "output file exists: " + in_quotes(place_.final_path.string()));
  }
  start(header);
}

void FileWriter::start(const std::string& header) {
  // What is written is read first, by the strict reader: a file of ours is never refused later.
  std::string prefix;
  for (int i = 0; i < 8; ++i) prefix += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  prefix += header;
  const auto bytes = std::as_bytes(std::span(prefix));
  constexpr uint64_t kAnySize = std::numeric_limits<int64_t>::max();
  header_ = parse_header(bytes, kAnySize, place_.final_path.filename().string(), {.lenient = true});
  header_.file_size -= header_.trailing_bytes;
  header_.trailing_bytes = 0;
  for (size_t i = 0; i < header_.tensors.size(); ++i) by_name_.emplace(header_.tensors[i].name, i);
  written_.resize(header_.tensors.size());
  if (place_.kept && take_over(bytes)) return;
  file_ = create_file(place_.temporary, header_.file_size);
  try {
    write_at(file_.get(), 0, bytes);
  } catch (...) {  // a constructor that throws has no destructor to clean up
    abandon();
    throw;
  }
}

bool FileWriter::take_over(std::span<const std::byte> prefix) {
  OpenFile file(::open(place_.temporary.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) return false;
  std::vector<std::byte> there(prefix.size());
  if (file.size() == header_.file_size && read_at(file.get(), 0, there) &&
      std::equal(there.begin(), there.end(), prefix.begin())) {
    file_ = std::move(file);
    return true;
  }
  fs::remove(place_.temporary);
  return false;
}

FileWriter::~FileWriter() { abandon(); }

void FileWriter::abandon() noexcept {
  const std::lock_guard lock(mutex_);
  if (done_) return;
  done_ = true;
  std::error_code ignored;
  if (file_.get() >= 0 && !place_.kept) fs::remove(place_.temporary, ignored);
}

const TensorInfo& FileWriter::claim(std::string_view name, uint64_t offset, uint64_t count) {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) {
    std::vector<std::string> names;
    for (const TensorInfo& tensor : header_.tensors) names.push_back(tensor.name);
    throw std::invalid_argument("no tensor " + in_quotes(name) + " in this file" +
                                did_you_mean(name, names));
  }
  const TensorInfo& tensor = header_.tensors[it->second];
  const auto fail = [&](const std::string& what) {
    throw std::invalid_argument("tensor " + in_quotes(name) + ": bytes " + std::to_string(offset) +
                                " to " + std::to_string(offset + count) + " " + what);
  };
  if (offset > tensor.bytes() || count > tensor.bytes() - offset) {
    fail("of " + std::to_string(tensor.bytes()));
  }
  if (count == 0) return tensor;
  const std::lock_guard lock(mutex_);
  if (done_) throw std::invalid_argument("the file is finished or abandoned");
  Spans& spans = written_[it->second];
  auto next = spans.lower_bound(offset);
  if (next != spans.end() && next->first < offset + count) fail("are written twice");
  uint64_t begin = offset, end = offset + count;
  if (next != spans.begin()) {
    const auto before = std::prev(next);
    if (before->second > offset) fail("are written twice");
    if (before->second == offset) {
      begin = before->first;
      spans.erase(before);
    }
  }
  if (next != spans.end() && next->first == end) {
    end = next->second;
    spans.erase(next);
  }
  spans[begin] = end;
  return tensor;
}

void FileWriter::pwrite(std::string_view name, uint64_t offset, std::span<const std::byte> bytes) {
  const TensorInfo& tensor = claim(name, offset, bytes.size());
  write_at(file_.get(), tensor.begin + offset, bytes);
  constexpr uint64_t kOften = 32u << 20;
  const uint64_t before = unsent_.fetch_add(bytes.size());
  if (before / kOften == (before + bytes.size()) / kOften) return;
  begin_writeback(file_.get());
  if (forgets_) forget_pages(file_.get(), 0, 0);
}

bool FileWriter::read(std::string_view name, uint64_t offset, std::span<std::byte> bytes) const {
  const TensorInfo& tensor = header_.tensors[by_name_.at(name)];
  return read_at(file_.get(), tensor.begin + offset, bytes);
}

void FileWriter::adopt(std::string_view name) {
  claim(name, 0, header_.tensors[by_name_.at(name)].bytes());
}

void FileWriter::copy(std::string_view name, int source, uint64_t source_offset, uint64_t bytes,
                      Progress* progress) {
  const TensorInfo& tensor = claim(name, 0, bytes);
  if (bytes != tensor.bytes()) {
    throw std::invalid_argument("tensor " + in_quotes(name) + ": " + std::to_string(bytes) +
                                " bytes, expected all " + std::to_string(tensor.bytes()));
  }
  copy_range(source, source_offset, file_.get(), tensor.begin, bytes, [&](uint64_t n) {
    if (progress != nullptr) progress->step(static_cast<int64_t>(n));
  });
  if (forgets_) forget_pages(file_.get(), tensor.begin, bytes);
}

void FileWriter::check_complete() const {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < header_.tensors.size(); ++i) {
    const TensorInfo& tensor = header_.tensors[i];
    uint64_t done = 0;
    for (const auto& [begin, end] : written_[i]) done += end - begin;
    if (done == tensor.bytes()) continue;
    throw std::logic_error(tensor.file + ": tensor " + in_quotes(tensor.name) + ": only " +
                           std::to_string(done) + " of " + std::to_string(tensor.bytes()) +
                           " bytes were written");
  }
}

void FileWriter::sync() {
  if (::fsync(file_.get()) != 0) throw_errno("cannot make durable", place_.temporary.string());
}

void FileWriter::publish() {
  rename_new(place_.temporary, place_.final_path);
  done_ = true;
}

void FileWriter::finish() {
  check_complete();
  sync();
  publish();
  sync_folder(place_.final_path.parent_path());
}

}  // namespace lenswright
