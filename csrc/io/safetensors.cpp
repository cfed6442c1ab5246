#include "io/safetensors.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "io/header_reader.h"

namespace lenswright {
namespace {

constexpr uint64_t kMaxCount = std::numeric_limits<int64_t>::max();

// The number of bytes of an entry, with its problem when there is none.
struct Size {
  uint64_t bytes = 0;
  Flaw flaw = Flaw::size;
  const char* problem = nullptr;
};

Size entry_size(Dtype dtype, std::span<const uint64_t> shape) {
  uint64_t count = 1;    // as the reference multiplies: left to right, zeros included
  uint64_t nonzero = 1;  // what strides are made of
  uint64_t all_bits = 0;
  for (const uint64_t dim : shape) {
    if (dim > kMaxCount) return {0, Flaw::overflow, "a dimension beyond 2^63 - 1"};
    if (__builtin_mul_overflow(count, dim, &count) ||
        (dim != 0 && __builtin_mul_overflow(nonzero, dim, &nonzero)) || nonzero > kMaxCount) {
      return {0, Flaw::overflow, "the number of elements overflows"};
    }
  }
  if (__builtin_mul_overflow(nonzero, static_cast<uint64_t>(bits(dtype)), &all_bits)) {
    return {0, Flaw::overflow, "the number of bits overflows"};
  }
  if (count == 0) return {0};
  if (all_bits % 8 != 0) return {0, Flaw::size, "its elements end within a byte"};
  return {all_bits / 8};
}

uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

// The first name that occurs twice, found by sorting: a set of a million names costs more.
template <typename Entries, typename Name>
const std::string* find_twice(const Entries& entries, Name name) {
  std::vector<const std::string*> names;
  names.reserve(entries.size());
  for (const auto& entry : entries) names.push_back(&name(entry));
  std::sort(names.begin(), names.end(), [](auto a, auto b) { return *a < *b; });
  const auto twice =
      std::adjacent_find(names.begin(), names.end(), [](auto a, auto b) { return *a == *b; });
  return twice == names.end() ? nullptr : *twice;
}

void refuse_duplicates(const RawHeader& raw, std::string_view text, const std::string& file) {
  const auto entry_name = [](const HeaderEntry& e) -> const std::string& { return e.name; };
  if (const std::string* name = find_twice(raw.entries, entry_name)) {
    throw CheckpointError(Flaw::duplicate, file, "the name occurs twice in the header", *name,
                          key_position(text, *name));
  }
  const auto key = [](const auto& pair) -> const std::string& { return pair.first; };
  if (const std::string* name = find_twice(raw.metadata, key)) {
    throw CheckpointError(Flaw::duplicate, file,
                          "__metadata__ has the key " + in_quotes(*name) + " twice", "",
                          key_position(text, *name));
  }
}

// Tensors must follow each other without holes or overlaps; returns where the last one ends.
uint64_t check_layout(const std::vector<HeaderEntry>& entries, std::string_view text,
                      uint64_t data_start, const std::string& file) {
  uint64_t expected = 0;
  for (const HeaderEntry& entry : entries) {
    const auto [begin, end] = entry.offsets;
    const auto fail = [&](Flaw flaw, const std::string& message) {
      throw CheckpointError(flaw, file, message, entry.name, key_position(text, entry.name));
    };
    const std::string range =
        std::string("[") + std::to_string(begin) + ", " + std::to_string(end) + "]";
    if (end < begin) fail(Flaw::offsets, "data_offsets " + range + " run backwards");
    if (begin != expected) {
      fail(Flaw::offsets, "data_offsets " + range +
                              (begin < expected ? " overlap" : " leave a hole") +
                              ": the tensor before ends at " + std::to_string(expected));
    }
    const Size size = entry_size(entry.dtype, entry.shape);
    const std::string kind = std::string(wire_name(entry.dtype)) + " " + shape_text(entry.shape);
    if (size.problem != nullptr) fail(size.flaw, kind + ": " + size.problem);
    if (size.bytes != end - begin) {
      fail(Flaw::size, kind + " needs " + std::to_string(size.bytes) + " bytes, data_offsets " +
                           range + " give " + std::to_string(end - begin));
    }
    if (end > std::numeric_limits<uint64_t>::max() - data_start) {
      fail(Flaw::overflow, "data_offsets " + range + " overflow");
    }
    expected = end;
  }
  return expected;
}

}  // namespace

int64_t TensorInfo::numel() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::optional<uint64_t> tensor_bytes(Dtype dtype, std::span<const int64_t> shape) {
  std::vector<uint64_t> dims;
  for (const int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    dims.push_back(static_cast<uint64_t>(dim));
  }
  const Size size = entry_size(dtype, dims);
  return size.problem == nullptr ? std::optional(size.bytes) : std::nullopt;
}

uint64_t header_length(std::span<const std::byte> first_bytes, uint64_t file_size,
                       std::string_view file) {
  if (file_size < 8 || first_bytes.size() < 8) {
    throw CheckpointError(Flaw::truncated, std::string(file),
                          "only " + std::to_string(file_size) +
                              " bytes; a safetensors file begins with 8 bytes of length",
                          "", 0);
  }
  const uint64_t length = little_endian(first_bytes);
  if (length > kMaxHeaderBytes) {
    throw CheckpointError(Flaw::header_length, std::string(file),
                          "a header of " + std::to_string(length) + " bytes; at most " +
                              std::to_string(kMaxHeaderBytes) +
                              " are allowed (is this a safetensors file?)",
                          "", 0);
  }
  if (length > file_size - 8) {
    throw CheckpointError(Flaw::truncated, std::string(file),
                          "a header of " + std::to_string(length) + " bytes in a file of " +
                              std::to_string(file_size) + " bytes",
                          "", 0);
  }
  return length;
}

SafetensorsHeader parse_header(std::span<const std::byte> prefix, uint64_t file_size,
                               std::string_view file, ReadOptions options) {
  const std::string name(file);
  const uint64_t length = header_length(prefix, file_size, file);
  if (prefix.size() < 8 + length) {
    throw std::invalid_argument("prefix: " + std::to_string(prefix.size()) + " bytes, expected " +
                                std::to_string(8 + length));
  }
  const std::string_view text(reinterpret_cast<const char*>(prefix.data()) + 8, length);
  RawHeader raw = read_header_text(text, file);
  refuse_duplicates(raw, text, name);
  std::stable_sort(raw.entries.begin(), raw.entries.end(),
                   [](const auto& a, const auto& b) { return a.offsets < b.offsets; });
  SafetensorsHeader header;
  header.data_start = 8 + length;
  header.file_size = file_size;
  const uint64_t end = header.data_start + check_layout(raw.entries, text, header.data_start, name);
  if (end > file_size) {
    throw CheckpointError(Flaw::truncated, name,
                          "truncated: the data end at byte " + std::to_string(end) +
                              ", the file at " + std::to_string(file_size),
                          raw.entries.back().name, file_size);
  }
  header.trailing_bytes = file_size - end;
  if (header.trailing_bytes > 0 && !options.lenient) {
    throw CheckpointError(Flaw::trailing, name,
                          std::to_string(header.trailing_bytes) +
                              " bytes after the last tensor (lenient reading lets them pass)",
                          "", end);
  }
  header.metadata = std::move(raw.metadata);
  header.tensors.reserve(raw.entries.size());
  for (HeaderEntry& entry : raw.entries) {
    header.tensors.push_back({std::move(entry.name),
                              entry.dtype,
                              {entry.shape.begin(), entry.shape.end()},
                              header.data_start + entry.offsets[0],
                              header.data_start + entry.offsets[1],
                              name});
  }
  return header;
}

}  // namespace lenswright
