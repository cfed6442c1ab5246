#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "merge/input.h"

namespace lenswright {

/// A folder or file as the weights it stands for: codes with scales (fp8 with a scale for each
/// block or matrix, MXFP4) are read as the numbers that they are, and written as bfloat16 where
/// nothing else is asked for; their scales are no tensors of their own, and config.json says
/// nothing of them. Other checkpoints are as open_input has them. std::invalid_argument, by name,
/// where config.json or the tensors tell of another way to quantise, or codes and scales do not
/// fit.
std::shared_ptr<const Input> weights_input(const std::string& name,
                                           const std::filesystem::path& path);

}  // namespace lenswright
