#pragma once

#include <string>

#include "io/json.h"
#include "model/model.h"

namespace lenswright {

/// What edits of models with norms between writers and residual, or with computed positions, have
/// to say for themselves: an array of texts.
Json remarks_of(const Spec& spec);

/// What there is to say of one writer's place, or "".
std::string note_of(const WriterSite& writer, const Spec& spec);

/// The model an edit was made for: family, n_layers, d_model.
Json facts_of(const Model& model);

}  // namespace lenswright
