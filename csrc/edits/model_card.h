#pragma once

#include <string>
#include <string_view>

#include "io/checkpoint.h"

namespace lenswright {

/// The file beside a checkpoint's weights that tells people what it is.
inline constexpr const char* kCard = "README.md";

/// The input's model card, or nothing where it has none, and a section of the step-th commit behind
/// it, between comments that name the step.
std::string card_text(const Checkpoint& input, std::string_view section, size_t step);

}  // namespace lenswright
