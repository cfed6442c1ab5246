#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/progress.h"
#include "io/checkpoint.h"

namespace lenswright {

/// What reading every byte of a tensor showed.
struct TensorCheck {
  std::string name;
  std::string sha256;
  int64_t not_a_number = 0;  // for floating-point types of 8 bits or more
  int64_t infinite = 0;
};

/// Reads every tensor from the files (not from the private maps, so that a bad disk is an error and
/// not a fault). In the order of Checkpoint::tensors(); progress counts bytes.
std::vector<TensorCheck> verify(const Checkpoint& checkpoint, Progress* progress = nullptr,
                                int threads = 0);

}  // namespace lenswright
