#pragma once

#include <map>
#include <memory>

#include "edits/edit.h"
#include "model/model.h"

namespace lenswright {

/// What to take out, and where.
struct Ablation {
  at::Tensor direction;                  // [d_model], of any length but 0
  std::map<int64_t, at::Tensor> layers;  // instead of it: one for each of some layers
  bool rows = false;                     // they are [rows, d_model]: row i of a batch gets its own
  std::vector<std::string> writers = {"all"};
  double strength = 1.0;  // 1 removes, 2 reflects
  Json source;            // where the direction came from
};

/// Plain orthogonalisation, W' = (I - strength v vᵀ) W and b' = (I - strength v vᵀ) b (Arditi et
/// al. 2024, arXiv:2406.11717), with v the direction at length 1. Where what a writer wrote passes
/// a norm before it is added, v is what before_norm makes of the direction, at length 1: then
/// nothing is left along the direction in what is added.
std::shared_ptr<Edit> ablate(const Model& model, const Ablation& ablation);

}  // namespace lenswright
