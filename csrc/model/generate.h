#pragma once

#include <functional>
#include <vector>

#include "model/model.h"

namespace lenswright {

struct GenerateOptions {
  int64_t max_new_tokens = 64;
  std::vector<int64_t> stop_ids;  // a row ends with the first of these
  bool use_cache = true;
};

/// The most probable continuation of every row (the smallest id of equals), without the prompt,
/// stop id included: one list of ids a row. `step` is called after each token; false ends it.
std::vector<std::vector<int64_t>> generate(const Model& model, const Batch& prompts,
                                           const Taps& taps, const GenerateOptions& options,
                                           const std::function<bool(int64_t)>& step);

}  // namespace lenswright
