#pragma once

#include "io/json.h"
#include "spec/family.h"

namespace lenswright {

/// The decoders of Qwen's models that see, whose config.json is the text_config of theirs.
Family qwen2_vl_text(const std::string& model_type);
Family qwen3_vl_text();

}  // namespace lenswright
