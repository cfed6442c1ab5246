#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lenswright {

/// A name pattern, parsed once: `*` (any text, dots included), `?`, `[a-z]`, `[!a-z]`, `{a,b}` and
/// `{0..5}`; `\` takes the next character literally. Matches in time linear in the name.
/// Throws std::invalid_argument on a malformed pattern.
class Glob {
 public:
  explicit Glob(std::string_view pattern);

  bool matches(std::string_view name) const;
  const std::string& pattern() const { return pattern_; }

  /// True when `text` holds a character that Glob treats specially.
  static bool is_pattern(std::string_view text);

 private:
  struct Step {
    enum class Kind : uint8_t { character, any, set, split, jump, accept } kind;
    char character = 0;
    uint32_t first = 0;   // split and jump: target; set: index into sets_
    uint32_t second = 0;  // split: the other target
  };
  friend class GlobCompiler;

  std::string pattern_;
  std::vector<Step> steps_;
  std::vector<std::array<bool, 256>> sets_;
};

}  // namespace lenswright
