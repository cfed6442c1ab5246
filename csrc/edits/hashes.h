#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "model/weight.h"

namespace lenswright {

/// SHA-256 of the bytes of a tensor as a file would hold them.
std::string sha256_of(const at::Tensor& tensor);

/// The same of the originals of these tensors, several at a time; of a quantised one of its codes
/// and then its scales, as stored. Remembered on each, until torch says that its original was
/// changed in place.
std::vector<std::string> sha256_of(const std::vector<std::shared_ptr<Stored>>& tensors);

/// The same of tensors of a checkpoint, several at a time: one of each list, over the bytes of its
/// tensors one after the other. Memory of what was read is given back.
std::vector<std::string> sha256_of(const Checkpoint& checkpoint,
                                   const std::vector<std::vector<TensorInfo>>& tensors,
                                   int threads);

}  // namespace lenswright
