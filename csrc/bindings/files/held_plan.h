#pragma once

#include <pybind11/pybind11.h>

#include <deque>

#include "bindings/files/buffers.h"
#include "merge/plan.h"

namespace lenswright {

/// A plan with what it needs to stay alive: the recipe it points to, and buffers in memory.
struct HeldPlan {
  Recipe recipe;
  std::deque<BytesView> buffers;
  MergePlan plan;
};

/// The element type of a name of the format; std::invalid_argument where there is none.
Dtype dtype_of(const std::string& name);

/// What Python names as models: (name, path | (path, adapter's path) | MergePlan | tensors |
/// (tensors, config.json)) each.
/// `raw`: quantised weights are taken as they are stored.
Inputs open_inputs(const pybind11::list& inputs, HeldPlan& held, bool raw);

}  // namespace lenswright
