#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/weight.h"

namespace lenswright {

/// SHA-256 of the bytes of a tensor as a file would hold them.
std::string sha256_of(const at::Tensor& tensor);

/// The same of the originals of these tensors, several at a time; of a quantised one of its codes
/// and then its scales, as stored. Remembered on each, until torch says that its original was
/// changed in place.
std::vector<std::string> sha256_of(const std::vector<std::shared_ptr<Stored>>& tensors);

}  // namespace lenswright
