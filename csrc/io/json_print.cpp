#include <charconv>
#include <cmath>
#include <stdexcept>

#include "io/json.h"
#include "io/json_node.h"
#include "io/json_text.h"

namespace lenswright {
namespace {

std::string number_text(const JsonNumber& number) {
  if (!number.text.empty()) return number.text;
  if (!std::isfinite(number.value)) {
    throw std::invalid_argument("JSON has no spelling for " + std::to_string(number.value));
  }
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number.value);
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

class Printer {
 public:
  explicit Printer(int indent) : indent_(indent) {}

  void print(const Json::Node& node) {
    if (const auto* array = std::get_if<JsonArray>(&node.value)) {
      list('[', ']', array->size(), [&](size_t i) { print(*(*array)[i]); });
    } else if (const auto* object = std::get_if<JsonObject>(&node.value)) {
      list('{', '}', object->members.size(), [&](size_t i) {
        out_ += json_quote(object->members[i].first) + (indent_ < 0 ? ":" : ": ");
        print(*object->members[i].second);
      });
    } else if (const auto* text = std::get_if<std::string>(&node.value)) {
      out_ += json_quote(*text);
    } else if (const auto* integer = std::get_if<int64_t>(&node.value)) {
      out_ += std::to_string(*integer);
    } else if (const auto* number = std::get_if<JsonNumber>(&node.value)) {
      out_ += number_text(*number);
    } else if (const auto* boolean = std::get_if<bool>(&node.value)) {
      out_ += *boolean ? "true" : "false";
    } else {
      out_ += "null";
    }
  }

  std::string take() { return std::move(out_); }

 private:
  template <typename Element>
  void list(char open, char close, size_t count, Element element) {
    out_ += open;
    ++depth_;
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out_ += ',';
      new_line();
      element(i);
    }
    --depth_;
    if (count > 0) new_line();
    out_ += close;
  }

  void new_line() {
    if (indent_ >= 0) out_ += '\n' + std::string(static_cast<size_t>(indent_ * depth_), ' ');
  }

  int indent_;
  int depth_ = 0;
  std::string out_;
};

}  // namespace

std::string Json::dump(int indent) const {
  Printer printer(indent);
  printer.print(*node_);
  return printer.take();
}

}  // namespace lenswright
