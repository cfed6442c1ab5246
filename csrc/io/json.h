#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lenswright {

struct ParseLimits {
  size_t depth = 64;
  size_t bytes = 256u << 20;
  size_t values = 3'000'000;  // each takes some hundred bytes of memory
};

/// A JSON value. Objects keep their order, numbers their text; copies are cheap (shared until
/// written). Every value knows where it came from, so that errors name file and key.
class Json {
 public:
  Json() : Json(nullptr) {}
  Json(std::nullptr_t);
  template <std::same_as<bool> T>
  Json(T value) : Json(from_bool(value)) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T value) : Json(from_int(static_cast<int64_t>(value))) {}
  Json(double value);
  Json(std::string value);
  Json(std::string_view value) : Json(std::string(value)) {}
  Json(const char* value) : Json(std::string(value)) {}

  /// Strict JSON: duplicate keys, depth beyond the limit, a byte order mark, NUL bytes and invalid
  /// UTF-8 are std::invalid_argument naming `where`, line and column.
  static Json parse(std::string_view text, std::string_view where, ParseLimits limits = {});
  static Json object();
  static Json array();

  bool is_null() const;
  bool is_bool() const;
  bool is_integer() const;  // an integer that fits int64_t
  bool is_number() const;
  bool is_string() const;
  bool is_array() const;
  bool is_object() const;
  /// "null", "boolean", "integer", "number", "string", "array" or "object"
  std::string_view type_name() const;

  /// False for anything but an object.
  bool contains(std::string_view key) const;
  Json at(std::string_view key) const;
  Json at(size_t index) const;
  /// Elements of an array or members of an object.
  size_t size() const;
  std::vector<std::string> keys() const;
  std::vector<std::pair<std::string, Json>> items() const;
  std::vector<Json> elements() const;

  // std::invalid_argument names where, the value and the expected type.
  int64_t as_int() const;
  double as_double() const;
  bool as_bool() const;
  std::string as_string() const;

  /// Adds or replaces a member of an object (a replaced member keeps its place).
  void set(std::string_view key, Json value);
  void erase(std::string_view key);
  void push_back(Json value);

  /// indent < 0: one line without spaces, as safetensors headers have it; otherwise like Python's
  /// json.dumps(…, indent=indent, ensure_ascii=False).
  std::string dump(int indent = -1) const;

  /// File and dotted path of this value, for messages.
  const std::string& where() const { return where_; }

  bool operator==(const Json& other) const;

  struct Node;

 private:
  friend class JsonBuilder;
  static Json from_bool(bool value);
  static Json from_int(int64_t value);
  Json(std::shared_ptr<Node> node, std::string where);
  [[noreturn]] void expected(std::string_view type) const;
  Node& own();

  std::shared_ptr<Node> node_;
  std::string where_;
};

}  // namespace lenswright
