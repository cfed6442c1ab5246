#include "io/json_text.h"

#include <algorithm>

#include "base/text.h"

namespace lenswright {

std::string json_quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte < 0x20) {
          out += {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

std::optional<TextFlaw> find_text_flaw(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) return TextFlaw{"a byte order mark", 0};
  if (const size_t at = text.find('\0'); at != std::string_view::npos) {
    return TextFlaw{"a NUL byte", at};
  }
  if (const size_t at = find_invalid_utf8(text); at != std::string_view::npos) {
    return TextFlaw{"invalid UTF-8", at, true};
  }
  return std::nullopt;
}

std::string line_and_column(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, std::min(at, text.size()));
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const size_t last = before.rfind('\n');
  const size_t column = last == std::string_view::npos ? before.size() : before.size() - last - 1;
  return "line " + std::to_string(lines + 1) + ", column " + std::to_string(column + 1);
}

}  // namespace lenswright
