#include "merge/recipe_parameters.h"

#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "merge/refuse.h"

namespace lenswright {
namespace {

std::string number_text(double number) {
  char out[32];
  std::snprintf(out, sizeof out, "%g", number);
  return out;
}

const Parameter& known(const Method& method, const std::string& name, const std::string& where) {
  if (const Parameter* found = method.find(name)) return *found;
  std::vector<std::string> names;
  for (const Parameter& one : method.parameters) names.push_back(one.name);
  refuse(where + ": " + method.name + " has no parameter " + in_quotes(name) +
         did_you_mean(name, names) +
         (did_you_mean(name, names).empty() ? "; it has " : " It has ") +
         (names.empty() ? "none" : listed(names)));
}

void check_range(const Parameter& parameter, const Setting& setting, const Json& value) {
  using Kind = Parameter::Kind;
  for (const double number : setting.numbers()) {
    const bool whole = parameter.kind == Kind::number || number == std::floor(number);
    const bool inside = number >= parameter.low && number <= parameter.high;
    if (whole && inside) continue;
    std::string expected = parameter.kind == Kind::flag    ? "true or false"
                           : parameter.kind == Kind::whole ? "a whole number"
                                                           : "a number";
    if (parameter.kind != Kind::flag && std::isfinite(parameter.low)) {
      expected += " of " + number_text(parameter.low) + " or more";
      if (parameter.high < 1e300) expected += ", " + number_text(parameter.high) + " at most";
    }
    refuse(value.where() + " is " + value.dump() + ", expected " + expected);
  }
}

}  // namespace

Settings read_parameters(const Json& parameters, const Method& method, bool shared) {
  if (!parameters.is_object()) {
    refuse(parameters.where() + " is " + parameters.dump() + ", expected parameters by name");
  }
  Settings out;
  for (const std::string& name : parameters.keys()) {
    const Json value = parameters.at(name);
    const Parameter& parameter = known(method, name, parameters.where());
    if (!shared && !parameter.own) {
      refuse(value.where() +
             " is of the whole merge, not of one model; put it under the outer parameters");
    }
    if (value.is_null()) continue;
    Setting setting = Setting::parse(value);
    check_range(parameter, setting, value);
    out.emplace(name, std::move(setting));
  }
  return out;
}

}  // namespace lenswright
