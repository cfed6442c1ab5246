#pragma once

#include <map>
#include <memory>

#include "edits/edit.h"
#include "model/model.h"

namespace lenswright {

/// Vectors added to the residual before some layers, for every token: what steering adds there, as
/// weights (Arditi et al. 2024, arXiv:2406.11717, section 2.4).
struct Addition {
  std::map<int64_t, at::Tensor> layers;  // [d_model], with their lengths; n_layers: behind the last
  bool rows = false;                     // they are [rows, d_model]
  double strength = 1.0;
  Json provenance;
};

/// Throws ValueError where the architecture cannot add a constant there (see constant_at).
std::shared_ptr<Edit> add(const Model& model, const Addition& addition);

}  // namespace lenswright
