#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merge/work.h"

namespace lenswright {

/// A number that a recipe may give a method.
struct Parameter {
  enum class Kind : uint8_t { number, whole, flag };

  std::string name;
  bool own = false;  // each model has one of its own; else the merge has one
  bool required = false;
  std::optional<double> fallback = {};  // where neither: the method finds one itself
  Kind kind = Kind::number;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::string help = {};
};

/// A way to make one tensor of several: what it asks of a recipe, and how to begin.
struct Method {
  enum class Base : uint8_t { none, optional, required };

  std::string name;
  std::string source;  // paper or origin of the formula
  Base base = Base::none;
  int least = 1;               // models, the base left out
  int most = 1 << 20;          // likewise
  bool base_is_input = false;  // the base counts as a model like others: slerp
  bool random = false;
  bool whole = false;  // of whole tensors, by a solver: see merge/whole.h
  std::vector<Parameter> parameters = {};
  std::unique_ptr<Work> (*start)(const Task& task) = nullptr;

  const Parameter* find(std::string_view parameter) const;
};

/// All methods, by name.
const std::vector<Method>& merge_methods();

/// std::invalid_argument with the nearest name where there is none.
const Method& merge_method(std::string_view name);

}  // namespace lenswright
