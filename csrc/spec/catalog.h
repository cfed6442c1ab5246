#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace lenswright {

/// What reading a decoder asks about the tensors that are there.
struct Catalog {
  std::function<bool(const std::string& name)> contains;
  std::function<std::vector<int64_t>(const std::string& name)> shape;
  std::function<bool(const std::string& a, const std::string& b)> equal;
  std::function<Dtype(const std::string& name)> dtype;
  std::function<std::vector<std::string>()> names;
};

}  // namespace lenswright
