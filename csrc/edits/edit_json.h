#pragma once

#include <functional>
#include <memory>
#include <string>

#include "edits/edit.h"
#include "io/json.h"

namespace lenswright {

/// What an edit changes, as JSON: {"parts": …, "untouched": …}. Factors that parts share are told
/// to `keep` once, with the part's JSON, where it may say how to find them again.
Json edit_json(const Edit& edit, const std::function<void(const Part&, Json&)>& keep);

/// The other way. `find` is told a part's JSON and its writer. std::invalid_argument where the JSON
/// is no such thing.
std::shared_ptr<Edit> edit_of(const Json& json, Json provenance,
                              const std::function<Factors(const Json&, const std::string&)>& find);

/// The same with the factors in the JSON, in base64.
Json whole_edit_json(const Edit& edit);
std::shared_ptr<Edit> whole_edit_of(const Json& json, Json provenance);

/// Checks that factors fit each other, whatever the size of their writer.
Factors checked_alone(const Factors& factors, const std::string& writer);

}  // namespace lenswright
