#include "base/text.h"

#include <algorithm>

#include "base/error.h"

namespace lenswright {
namespace {

constexpr size_t kShown = 120;

// Length of the well-formed sequence at `at`, 0 when there is none (Unicode 15, table 3-7).
size_t sequence_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : uint8_t{0};
  };
  const auto within = [](uint8_t b, uint8_t low, uint8_t high) { return b >= low && b <= high; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (within(first, 0xC2, 0xDF)) return within(byte(1), 0x80, 0xBF) ? 2 : 0;
  if (within(first, 0xE0, 0xEF)) {
    const uint8_t low = first == 0xE0 ? 0xA0 : 0x80;
    const uint8_t high = first == 0xED ? 0x9F : 0xBF;
    return within(byte(1), low, high) && within(byte(2), 0x80, 0xBF) ? 3 : 0;
  }
  if (within(first, 0xF0, 0xF4)) {
    const uint8_t low = first == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xF4 ? 0x8F : 0xBF;
    const bool tail = within(byte(2), 0x80, 0xBF) && within(byte(3), 0x80, 0xBF);
    return within(byte(1), low, high) && tail ? 4 : 0;
  }
  return 0;
}

std::string listed_between(std::string_view mark, std::span<const std::string> names, size_t most) {
  std::string out;
  for (const std::string& name : names.first(std::min(names.size(), most))) {
    if (!out.empty()) out += ", ";
    out.append(mark).append(name).append(mark);
  }
  if (names.size() > most) out += " and " + std::to_string(names.size() - most) + " more";
  return out;
}

template <typename Size>
std::string bracketed(std::span<const Size> sizes) {
  std::string out = "[";
  for (const Size size : sizes) out += (out.size() > 1 ? ", " : "") + std::to_string(size);
  return out + "]";
}

}  // namespace

size_t find_invalid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = sequence_length(text, at);
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

std::string printable(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  size_t at = 0;
  while (at < text.size() && at < kShown) {
    const size_t length = sequence_length(text, at);
    const auto byte = static_cast<uint8_t>(text[at]);
    if (length > 1 || (length == 1 && byte >= 0x20 && byte != 0x7F)) {
      out.append(text.substr(at, length));
      at += length;
    } else {
      out.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
      ++at;
    }
  }
  if (at < text.size()) out += "…";
  return out;
}

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  out += printable(text);
  out += "'";
  return out;
}

std::string listed(std::span<const std::string> names, size_t most) {
  return listed_between("", names, most);
}

std::string listed_in_quotes(std::span<const std::string> names, size_t most) {
  return listed_between("'", names, most);
}

std::string shape_text(std::span<const int64_t> shape) { return bracketed(shape); }
std::string shape_text(std::span<const uint64_t> shape) { return bracketed(shape); }

}  // namespace lenswright
