#pragma once

#include <string>

#include "io/json.h"

namespace lenswright {

/// What a model that is not a decoder of attention and MLP blocks has besides, as far as we know
/// it by name: "state-space layers", "an encoder" ...; "" where we do not.
std::string beyond_decoders(const std::string& architecture, const std::string& model_type,
                            const Json& config);

}  // namespace lenswright
