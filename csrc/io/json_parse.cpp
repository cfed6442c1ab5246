#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/error.h"
#include "io/json.h"
#include "io/json_node.h"
#include "io/json_text.h"

namespace lenswright {

/// Receives the parser's events and builds nodes; this is where duplicate keys and depth are seen.
class JsonBuilder {
 public:
  JsonBuilder(std::string_view text, std::string_view where, ParseLimits limits)
      : text_(text), where_(where), limits_(limits) {}

  // The interface that nlohmann::json::sax_parse calls.
  bool null() { return add(Json::Node{nullptr}); }
  bool boolean(bool value) { return add(Json::Node{value}); }
  bool number_integer(int64_t value) { return add(Json::Node{value}); }
  bool number_unsigned(uint64_t value) {
    if (value > static_cast<uint64_t>(INT64_MAX)) {
      return add(Json::Node{JsonNumber{static_cast<double>(value), std::to_string(value)}});
    }
    return add(Json::Node{static_cast<int64_t>(value)});
  }
  bool number_float(double value, const std::string& text) {
    return add(Json::Node{JsonNumber{value, text}});
  }
  bool string(std::string& value) { return add(Json::Node{std::move(value)}); }
  bool binary(std::vector<uint8_t>&) { return false; }
  bool start_object(size_t) { return open(Json::Node{JsonObject{}}); }
  bool start_array(size_t) { return open(Json::Node{JsonArray{}}); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& value) {
    if (std::get<JsonObject>(stack_.back()->value).find(value) != JsonObject::kNone) {
      fail("the key " + in_quotes(value) + " occurs twice in one object");
    }
    keys_.back() = std::move(value);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) {
    const std::string_view what = error.what();
    const size_t detail = what.find(" - ");
    std::string why = "not valid JSON";
    if (detail != std::string_view::npos) why += " (" + printable(what.substr(detail + 3)) + ")";
    fail(why + " at " + line_and_column(text_, position == 0 ? 0 : position - 1));
  }

  std::shared_ptr<Json::Node> take() { return std::move(root_); }

  [[noreturn]] void fail(const std::string& why) const {
    throw std::invalid_argument(where_ + ": " + why);
  }

 private:
  std::shared_ptr<Json::Node> place(Json::Node node) {
    if (++count_ > limits_.values) {
      fail("more than " + std::to_string(limits_.values) + " values");
    }
    auto shared = std::make_shared<Json::Node>(std::move(node));
    if (stack_.empty()) {
      root_ = shared;
    } else if (auto* array = std::get_if<JsonArray>(&stack_.back()->value)) {
      array->push_back(shared);
    } else {
      std::get<JsonObject>(stack_.back()->value).add(std::move(keys_.back()), shared);
    }
    return shared;
  }

  bool add(Json::Node node) {
    place(std::move(node));
    return true;
  }

  bool open(Json::Node node) {
    if (stack_.size() >= limits_.depth) {
      fail("nested deeper than " + std::to_string(limits_.depth) + " levels");
    }
    stack_.push_back(place(std::move(node)));
    keys_.emplace_back();
    return true;
  }

  bool close() {
    stack_.pop_back();
    keys_.pop_back();
    return true;
  }

  std::string_view text_;
  std::string where_;
  ParseLimits limits_;
  size_t count_ = 0;
  std::shared_ptr<Json::Node> root_;
  std::vector<std::shared_ptr<Json::Node>> stack_;
  std::vector<std::string> keys_;
};

Json Json::parse(std::string_view text, std::string_view where, ParseLimits limits) {
  JsonBuilder builder(text, where, limits);
  if (text.size() > limits.bytes) {
    builder.fail("longer than " + std::to_string(limits.bytes) + " bytes");
  }
  if (const auto flaw = find_text_flaw(text)) {
    builder.fail(flaw->why + " at " + line_and_column(text, flaw->at));
  }
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return {builder.take(), std::string(where)};
}

}  // namespace lenswright
