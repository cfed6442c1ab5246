#pragma once

#include <memory>

#include "edits/aims.h"
#include "edits/edit.h"

namespace lenswright {

/// Removes directions from all that is written and puts back what the residual shall hold along
/// them: h' = h - P (h - target), with P the projection along `direction` (and as far as `read`
/// sees it, where that is given).
///
/// With target the mean of one class, or between those of both, this is affine concept editing
/// (Marshall et al. 2024, arXiv:2411.09003); with LEACE's write and read vectors and the mean over
/// all, LEACE (Belrose et al. 2023, arXiv:2306.03819).
struct Affine {
  at::Tensor direction;  // [d_model] or [k, d_model]
  at::Tensor read;       // as many, or undefined: the directions themselves
  at::Tensor target;     // [d_model], or [n_layers + 1, d_model]: before each layer and at the end
  Json provenance;
};

/// Throws ValueError where the architecture cannot hold a constant there, or where something
/// that nobody can edit writes along the directions.
std::shared_ptr<Edit> affine(const Model& model, const Affine& given);

}  // namespace lenswright
