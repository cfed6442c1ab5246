#pragma once

#include <memory>

#include "merge/work.h"

namespace lenswright {

/// Reads every input whole, has the task's solver compute the result, and writes it. Memory:
/// (inputs + 1) numbers of 8 bytes for each element. std::invalid_argument where there is no
/// solver.
std::unique_ptr<Work> whole_work(const Task& task);

}  // namespace lenswright
