#pragma once

#include <cstddef>
#include <string_view>

namespace lenswright {

/// The position of the first byte that is not part of well-formed UTF-8 (no overlong forms, no
/// surrogates, nothing beyond U+10FFFF); npos when all of it is.
size_t find_invalid_utf8(std::string_view text);

}  // namespace lenswright
