#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "merge/input.h"

namespace lenswright {

/// A model with a LoRA adapter of PEFT in it (Hu et al. 2021, arXiv:2106.09685): W + s B A,
/// computed in float64 where a tensor is read, never stored. s is lora_alpha / r, or / √r (rslora);
/// patterns of ranks and alphas, transposed weights (fan_in_fan_out), embeddings and tensors that
/// the adapter replaces (modules_to_save) are understood. Throws std::invalid_argument for adapters
/// of another kind (DoRA, initialisations that change the model) and for what does not fit the
/// model.
std::shared_ptr<const Input> adapted_input(const std::string& name,
                                           std::shared_ptr<const Input> model,
                                           const std::filesystem::path& adapter);

}  // namespace lenswright
