#pragma once

#include <string>
#include <string_view>

namespace lenswright {

/// A JSON object's text with the top-level member `key` set to a boolean, every other byte as it
/// was. A key that is not there is put last. `where` names the file in messages.
std::string with_flag(const std::string& text, std::string_view key, bool value,
                      std::string_view where);

/// The same for a member of the object that the top-level member `parent` is.
std::string with_flag_in(const std::string& text, std::string_view parent, std::string_view key,
                         bool value, std::string_view where);

}  // namespace lenswright
