#include "io/json.h"

#include <stdexcept>

#include "base/error.h"
#include "io/json_node.h"

namespace lenswright {

size_t JsonObject::find(std::string_view key) const {
  if (!places.empty()) {
    const auto it = places.find(std::string(key));
    return it == places.end() ? kNone : it->second;
  }
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].first == key) return i;
  }
  return kNone;
}

void JsonObject::add(std::string key, std::shared_ptr<Json::Node> value) {
  members.emplace_back(std::move(key), std::move(value));
  if (members.size() < kTable) return;
  if (places.empty()) {
    for (size_t i = 0; i < members.size(); ++i) places.emplace(members[i].first, i);
  } else {
    places.emplace(members.back().first, members.size() - 1);
  }
}

void JsonObject::erase(size_t place) {
  members.erase(members.begin() + static_cast<ptrdiff_t>(place));
  places.clear();
  if (members.size() < kTable) return;
  for (size_t i = 0; i < members.size(); ++i) places.emplace(members[i].first, i);
}

Json::Json(std::shared_ptr<Node> node, std::string where)
    : node_(std::move(node)), where_(std::move(where)) {}
Json::Json(std::nullptr_t) : node_(std::make_shared<Node>()) {}
Json::Json(double value) : node_(std::make_shared<Node>(Node{JsonNumber{value, ""}})) {}
Json::Json(std::string value) : node_(std::make_shared<Node>(Node{std::move(value)})) {}
Json Json::from_bool(bool value) { return {std::make_shared<Node>(Node{value}), ""}; }
Json Json::from_int(int64_t value) { return {std::make_shared<Node>(Node{value}), ""}; }
Json Json::object() { return {std::make_shared<Node>(Node{JsonObject{}}), ""}; }
Json Json::array() { return {std::make_shared<Node>(Node{JsonArray{}}), ""}; }

bool Json::is_null() const { return std::holds_alternative<std::nullptr_t>(node_->value); }
bool Json::is_bool() const { return std::holds_alternative<bool>(node_->value); }
bool Json::is_integer() const { return std::holds_alternative<int64_t>(node_->value); }
bool Json::is_number() const {
  return is_integer() || std::holds_alternative<JsonNumber>(node_->value);
}
bool Json::is_string() const { return std::holds_alternative<std::string>(node_->value); }
bool Json::is_array() const { return std::holds_alternative<JsonArray>(node_->value); }
bool Json::is_object() const { return std::holds_alternative<JsonObject>(node_->value); }

std::string_view Json::type_name() const {
  static constexpr std::string_view kNames[] = {"null",   "boolean", "integer", "number",
                                                "string", "array",   "object"};
  return kNames[node_->value.index()];
}

void Json::expected(std::string_view type) const {
  throw std::invalid_argument((where_.empty() ? "value" : where_) + ": expected " +
                              std::string(type) + ", found " + std::string(type_name()) + " " +
                              in_quotes(dump()));
}

Json::Node& Json::own() {
  if (node_.use_count() > 1) node_ = std::make_shared<Node>(*node_);
  return *node_;
}

bool Json::contains(std::string_view key) const {
  const auto* object = std::get_if<JsonObject>(&node_->value);
  return object != nullptr && object->find(key) != JsonObject::kNone;
}

Json Json::at(std::string_view key) const {
  const auto* object = std::get_if<JsonObject>(&node_->value);
  if (object == nullptr) expected("an object");
  const size_t place = object->find(key);
  if (place == JsonObject::kNone) {
    throw std::invalid_argument((where_.empty() ? "object" : where_) + ": no key " +
                                in_quotes(key) + did_you_mean(key, keys()));
  }
  const std::string dot = where_.empty() ? "" : ": ";
  // "config.json: rope_scaling.factor": one colon after the file, dots from there on.
  const bool nested = where_.find(": ") != std::string::npos;
  return {object->members[place].second, where_ + (nested ? "." : dot) + std::string(key)};
}

Json Json::at(size_t index) const {
  const auto* array = std::get_if<JsonArray>(&node_->value);
  if (array == nullptr) expected("an array");
  if (index >= array->size()) {
    throw std::out_of_range(where_ + ": no element " + std::to_string(index) + " in an array of " +
                            std::to_string(array->size()));
  }
  return {(*array)[index], where_ + "[" + std::to_string(index) + "]"};
}

size_t Json::size() const {
  if (const auto* array = std::get_if<JsonArray>(&node_->value)) return array->size();
  if (const auto* object = std::get_if<JsonObject>(&node_->value)) return object->members.size();
  expected("an array or an object");
}

std::vector<std::string> Json::keys() const {
  const auto* object = std::get_if<JsonObject>(&node_->value);
  if (object == nullptr) expected("an object");
  std::vector<std::string> out;
  out.reserve(object->members.size());
  for (const auto& [key, value] : object->members) out.push_back(key);
  return out;
}

std::vector<std::pair<std::string, Json>> Json::items() const {
  std::vector<std::pair<std::string, Json>> out;
  for (std::string& key : keys()) {
    Json value = at(key);
    out.emplace_back(std::move(key), std::move(value));
  }
  return out;
}

std::vector<Json> Json::elements() const {
  if (!is_array()) expected("an array");
  std::vector<Json> out;
  for (size_t i = 0; i < size(); ++i) out.push_back(at(i));
  return out;
}

int64_t Json::as_int() const {
  if (const auto* value = std::get_if<int64_t>(&node_->value)) return *value;
  expected("an integer");
}

double Json::as_double() const {
  if (const auto* value = std::get_if<int64_t>(&node_->value)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<JsonNumber>(&node_->value)) return value->value;
  expected("a number");
}

bool Json::as_bool() const {
  if (const auto* value = std::get_if<bool>(&node_->value)) return *value;
  expected("true or false");
}

std::string Json::as_string() const {
  if (const auto* value = std::get_if<std::string>(&node_->value)) return *value;
  expected("a string");
}

void Json::set(std::string_view key, Json value) {
  if (!is_object()) expected("an object");
  auto& object = std::get<JsonObject>(own().value);
  const size_t place = object.find(key);
  if (place == JsonObject::kNone) {
    object.add(std::string(key), std::move(value.node_));
  } else {
    object.members[place].second = std::move(value.node_);
  }
}

void Json::erase(std::string_view key) {
  if (!contains(key)) return;
  auto& object = std::get<JsonObject>(own().value);
  object.erase(object.find(key));
}

void Json::push_back(Json value) {
  if (!is_array()) expected("an array");
  std::get<JsonArray>(own().value).push_back(std::move(value.node_));
}

bool Json::operator==(const Json& other) const {
  if (node_ == other.node_) return true;
  if (is_number() && other.is_number()) {
    if (is_integer() && other.is_integer()) return as_int() == other.as_int();
    return as_double() == other.as_double();
  }
  if (node_->value.index() != other.node_->value.index()) return false;
  if (is_null()) return true;
  if (is_bool()) return as_bool() == other.as_bool();
  if (is_string()) return as_string() == other.as_string();
  if (size() != other.size()) return false;
  if (is_array()) {
    for (size_t i = 0; i < size(); ++i) {
      if (!(at(i) == other.at(i))) return false;
    }
    return true;
  }
  for (const auto& [key, value] : items()) {
    if (!other.contains(key) || !(value == other.at(key))) return false;
  }
  return true;
}

}  // namespace lenswright
