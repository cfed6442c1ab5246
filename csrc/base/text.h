#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lenswright {

/// The position of the first byte that is not part of well-formed UTF-8 (no overlong forms, no
/// surrogates, nothing beyond U+10FFFF); npos when all of it is.
size_t find_invalid_utf8(std::string_view text);

/// "a, b, c"; of more than `most` names the first of them and "and 3 more".
std::string listed(std::span<const std::string> names, size_t most = std::string_view::npos);

/// The same with each name in single quotes.
std::string listed_in_quotes(std::span<const std::string> names,
                             size_t most = std::string_view::npos);

/// "[4, 8]", as messages show a shape.
std::string shape_text(std::span<const int64_t> shape);
std::string shape_text(std::span<const uint64_t> shape);

}  // namespace lenswright
