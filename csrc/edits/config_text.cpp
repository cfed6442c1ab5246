#include "edits/config_text.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "io/json.h"

namespace lenswright {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

struct Range {
  size_t begin, end;
};

// The text has been parsed: what follows may rely on it being a JSON object.
size_t string_end(std::string_view text, size_t quote) {
  size_t i = quote + 1;
  while (text[i] != '"') i += text[i] == '\\' ? 2 : 1;
  return i + 1;
}

// Where an object ends that begins here.
size_t object_end(std::string_view text, size_t begin) {
  int depth = 0;
  for (size_t i = begin;;) {
    if (text[i] == '{' || text[i] == '[') ++depth;
    if (text[i] == '}' || text[i] == ']') --depth;
    i = text[i] == '"' ? string_end(text, i) : i + 1;
    if (depth == 0) return i;
  }
}

std::optional<Range> value_of(std::string_view text, std::string_view key) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{' || text[i] == '[') ++depth;
    if (text[i] == '}' || text[i] == ']') --depth;
    if (text[i] != '"') continue;
    const size_t end = string_end(text, i);
    const std::string_view word = text.substr(i + 1, end - i - 2);
    const size_t next = text.find_first_not_of(kSpace, end);
    if (depth == 1 && text[next] == ':' && word == key) {
      const size_t begin = text.find_first_not_of(kSpace, next + 1);
      return Range{begin,
                   std::min(text.find_first_of(",}", begin), text.find_first_of(kSpace, begin))};
    }
    i = end - 1;
  }
  return std::nullopt;
}

}  // namespace

std::string with_flag(const std::string& text, std::string_view key, bool value,
                      std::string_view where) {
  Json wanted = Json::parse(text, where);
  const bool present = wanted.contains(key);
  if (present && !wanted.at(key).is_null()) wanted.at(key).as_bool();  // refuses anything else
  const bool empty = wanted.size() == 0;
  wanted.set(key, value);
  const std::string word = value ? "true" : "false";

  std::string result = text;
  if (const auto range = value_of(text, key)) {
    result.replace(range->begin, range->end - range->begin, word);
  } else {
    const size_t first = text.find('{') + 1;
    const std::string indent(text, first, text.find_first_not_of(kSpace, first) - first);
    const std::string member = indent + "\"" + std::string(key) + "\": " + word;
    const size_t last = text.find_last_not_of(kSpace, text.rfind('}') - 1) + 1;
    result.insert(last, empty ? member : "," + member);
  }
  if (!(Json::parse(result, where) == wanted)) {
    throw std::logic_error(std::string(where) + ": could not set '" + std::string(key) + "'");
  }
  return result;
}

std::string with_flag_in(const std::string& text, std::string_view parent, std::string_view key,
                         bool value, std::string_view where) {
  Json wanted = Json::parse(text, where), inner = wanted.at(parent);
  const std::string name = std::string(where) + " (" + std::string(parent) + ")";
  const size_t begin = value_of(text, parent)->begin, size = object_end(text, begin) - begin;
  std::string result = text;
  result.replace(begin, size, with_flag(text.substr(begin, size), key, value, name));
  inner.set(key, value);
  wanted.set(parent, inner);
  if (!(Json::parse(result, where) == wanted)) {
    throw std::logic_error(name + ": could not set '" + std::string(key) + "'");
  }
  return result;
}

}  // namespace lenswright
