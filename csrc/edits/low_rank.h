#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "edits/edit.h"
#include "model/model.h"

namespace lenswright {

/// A change of a weight as W' - W = Outᵀ In: [r, out] and [r, in] float64.
struct LowRank {
  at::Tensor out, in;
};

/// What an edit adds to each writer's weight; biases are not in it. The model's weights must be
/// those the edit was made for. ValueError where a writer's outputs or inputs are scaled, which
/// changes it by a matrix of full rank.
std::map<std::string, LowRank> low_rank(const Model& model, const Edit& edit);

/// What an edit does to the attention's outputs through these heads of every layer it changes:
/// biases, and writers that have no heads, are left alone. ValueError as above, IndexError where
/// there is no such head.
std::shared_ptr<Edit> restricted_to_heads(const Model& model, const Edit& edit,
                                          const std::vector<int64_t>& heads);

}  // namespace lenswright
