#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"

namespace lenswright {

/// A number in a merge recipe, which may depend on the tensor's name and on the depth of its layer:
/// a number (or true, false), a gradient [a, b, …] (anchors at equal distances from the first layer
/// to the last, straight lines between), or a list of {filter, value}, of which the first whose
/// filter is part of the tensor's name holds. A filter "*", or none, is part of every name;
/// "glob:…" and "regex:…" are patterns for the whole name.
class Setting {
 public:
  /// Throws std::invalid_argument naming the place in the recipe.
  static Setting parse(const Json& value);

  /// The value for a tensor at depth `t` in [0, 1]; none where no filter fits.
  std::optional<double> at(std::string_view tensor, double t) const;

  /// Every number it is made of, for checks of ranges.
  std::vector<double> numbers() const;
  /// Where in the recipe it stands.
  const std::string& where() const { return where_; }

 private:
  struct Case {
    std::string filter;
    std::vector<double> anchors;
    std::shared_ptr<const void> pattern;  // a Glob or a std::regex
    bool fits(std::string_view tensor) const;
  };
  std::vector<Case> cases_;
  std::string where_;
};

/// Settings by the names of parameters.
using Settings = std::map<std::string, Setting, std::less<>>;

}  // namespace lenswright
