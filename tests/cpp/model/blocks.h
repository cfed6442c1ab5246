#pragma once

#include <vector>

#include "spec/configs.h"
#include "spec/kinds.h"

namespace lenswright::test {

/// Rotations that depend on how long a row is.
inline Json growing_config() {
  const Json growing = json(R"({"rope_type": "dynamic", "factor": 2.0})");
  return with(with(llama_config(), "rope_scaling", growing), "max_position_embeddings", 4);
}

/// Both of the usual kinds of block, one of them with tied embeddings.
inline const std::vector<Json>& configs() {
  static const std::vector<Json> list = {
      llama_config(), with(llama_config(), "tie_word_embeddings", true), gpt2_config()};
  return list;
}

/// Those, every other kind of block, and rotations that depend on how long a row is.
inline std::vector<Json> all_configs() {
  std::vector<Json> list = configs();
  list.push_back(growing_config());
  list.insert(list.end(), kinds().begin(), kinds().end());
  return list;
}

}  // namespace lenswright::test
