#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "io/json.h"

namespace lenswright {

/// A number that is no int64_t, with the text it was read from ("" when it was made here).
struct JsonNumber {
  double value = 0;
  std::string text;
};

using JsonArray = std::vector<std::shared_ptr<Json::Node>>;

/// Members in file order; large objects carry a table of their names.
struct JsonObject {
  std::vector<std::pair<std::string, std::shared_ptr<Json::Node>>> members;
  std::unordered_map<std::string, size_t> places;

  static constexpr size_t kTable = 16;
  static constexpr size_t kNone = static_cast<size_t>(-1);

  size_t find(std::string_view key) const;
  void add(std::string key, std::shared_ptr<Json::Node> value);
  void erase(size_t place);
};

struct Json::Node {
  std::variant<std::nullptr_t, bool, int64_t, JsonNumber, std::string, JsonArray, JsonObject> value;
};

}  // namespace lenswright
