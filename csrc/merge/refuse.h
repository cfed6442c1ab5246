#pragma once

#include <stdexcept>
#include <string>

#include "base/error.h"

namespace lenswright {

/// Throws std::invalid_argument: what a recipe asks, or models that do not fit it.
[[noreturn]] inline void refuse(const std::string& message) {
  throw std::invalid_argument(message);
}

/// The same of an adapter, which is named.
[[noreturn]] inline void refuse_adapter(const std::string& adapter, const std::string& message) {
  refuse("adapter " + in_quotes(adapter) + ": " + message);
}

}  // namespace lenswright
