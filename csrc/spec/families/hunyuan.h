#pragma once

#include "spec/config_reader.h"
#include "spec/spec.h"

namespace lenswright {

/// Hunyuan's rotation, also in its mixtures: where its type is dynamic and there is an alpha,
/// wavelengths are stretched by that, whatever the length.
Rope read_alpha_rope(ConfigReader& config, int64_t d_head, int64_t n_ctx);

}  // namespace lenswright
