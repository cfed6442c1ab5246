#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lenswright {

/// A string as JSON spells it: quotes, short escapes, \u00xx for other control characters, UTF-8
/// as it is. The same spelling as the safetensors reference writer's.
std::string json_quote(std::string_view text);

/// Why a text is no candidate for strict JSON before any grammar is looked at: a byte order mark, a
/// NUL byte (the parser we use takes both lightly) or invalid UTF-8.
struct TextFlaw {
  std::string why;
  size_t at = 0;
  bool encoding = false;
};
std::optional<TextFlaw> find_text_flaw(std::string_view text);

/// "line 3, column 14" of a byte position.
std::string line_and_column(std::string_view text, size_t at);

}  // namespace lenswright
