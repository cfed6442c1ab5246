#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lenswright {

/// Bytes as text (RFC 4648, with padding).
std::string to_base64(std::span<const std::byte> bytes);

/// The other way; std::invalid_argument where the text is no such thing.
std::vector<std::byte> from_base64(std::string_view text);

}  // namespace lenswright
