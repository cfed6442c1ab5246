#include "merge/setting.h"

#include <algorithm>
#include <cmath>
#include <regex>
#include <stdexcept>

#include "base/error.h"
#include "base/glob.h"

namespace lenswright {
namespace {

constexpr std::string_view kGlob = "glob:", kRegex = "regex:";

double number(const Json& value) {
  if (value.is_bool()) return value.as_bool() ? 1.0 : 0.0;
  if (!value.is_number()) {
    throw std::invalid_argument(value.where() + " is " + value.dump() +
                                ", expected a number, a list of numbers, or a list of {filter, "
                                "value}");
  }
  const double result = value.as_double();
  if (!std::isfinite(result)) {
    throw std::invalid_argument(value.where() + " is " + value.dump() +
                                ", expected a finite number");
  }
  return result;
}

std::vector<double> anchors(const Json& value) {
  if (!value.is_array()) return {number(value)};
  if (value.size() == 0) {
    throw std::invalid_argument(value.where() + " is an empty list, expected numbers");
  }
  std::vector<double> out;
  for (const Json& element : value.elements()) out.push_back(number(element));
  return out;
}

double along(const std::vector<double>& anchors, double t) {
  const double place = std::clamp(t, 0.0, 1.0) * static_cast<double>(anchors.size() - 1);
  const auto left = static_cast<size_t>(place);
  if (left + 1 >= anchors.size()) return anchors.back();
  const double right = place - static_cast<double>(left);
  return (1.0 - right) * anchors[left] + right * anchors[left + 1];
}

std::shared_ptr<const void> pattern_of(const std::string& filter, const std::string& where) {
  try {
    if (filter.starts_with(kGlob)) {
      return std::make_shared<const Glob>(filter.substr(kGlob.size()));
    }
    if (filter.starts_with(kRegex)) {
      return std::make_shared<const std::regex>(filter.substr(kRegex.size()));
    }
  } catch (const std::exception& error) {  // regex_error or invalid_argument
    throw std::invalid_argument(where + ": filter " + in_quotes(filter) + ": " + error.what());
  }
  return nullptr;
}

bool is_case(const Json& value) {
  return value.is_object() ||
         (value.is_array() && value.size() > 0 && value.at(size_t{0}).is_object());
}

}  // namespace

bool Setting::Case::fits(std::string_view tensor) const {
  if (filter.empty() || filter == "*") return true;
  if (!pattern) return tensor.find(filter) != std::string_view::npos;
  if (filter.starts_with(kGlob)) return static_cast<const Glob*>(pattern.get())->matches(tensor);
  return std::regex_match(tensor.begin(), tensor.end(),
                          *static_cast<const std::regex*>(pattern.get()));
}

Setting Setting::parse(const Json& value) {
  static const std::vector<std::string> kKeys = {"filter", "value"};
  Setting setting;
  setting.where_ = value.where();
  if (!is_case(value)) {
    setting.cases_.push_back({"", anchors(value), nullptr});
    return setting;
  }
  const std::vector<Json> cases = value.is_array() ? value.elements() : std::vector<Json>{value};
  for (const Json& one : cases) {
    if (!one.is_object()) {
      throw std::invalid_argument(one.where() + " is " + one.dump() +
                                  ", expected {filter, value} as its neighbours");
    }
    for (const std::string& key : one.keys()) {
      if (std::ranges::find(kKeys, key) != kKeys.end()) continue;
      throw std::invalid_argument(one.where() + ": unknown key " + in_quotes(key) +
                                  did_you_mean(key, kKeys) + "; expected filter and value");
    }
    const bool filtered = one.contains("filter") && !one.at("filter").is_null();
    std::string filter = filtered ? one.at("filter").as_string() : "";
    auto pattern = pattern_of(filter, one.where());
    setting.cases_.push_back({std::move(filter), anchors(one.at("value")), std::move(pattern)});
  }
  return setting;
}

std::optional<double> Setting::at(std::string_view tensor, double t) const {
  for (const Case& one : cases_) {
    if (one.fits(tensor)) return along(one.anchors, t);
  }
  return std::nullopt;
}

std::vector<double> Setting::numbers() const {
  std::vector<double> out;
  for (const Case& one : cases_) out.insert(out.end(), one.anchors.begin(), one.anchors.end());
  return out;
}

}  // namespace lenswright
