#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "edits/edit.h"

namespace lenswright {

/// A plain ablation of tensors by their names, in a checkpoint of any family.
struct TensorAblation {
  at::Tensor direction;
  std::vector<std::string> tensors;  // names or globs
  double strength = 1.0;
  int residual_axis = -1;  // of matrices: 0 rows, 1 columns; -1: the only one of the right size
  Json provenance;
};

/// W' = (I - strength v vᵀ) W along the axis of a matrix that lies along the residual, of every
/// matrix of a tensor that holds several; a vector is a bias. Nothing is known of what the tensors
/// compute: such an edit is committed, never tried.
///
/// ValueError: a name that matches nothing, a tensor of another shape or type, or a square one with
/// no axis given.
std::shared_ptr<Edit> ablate_tensors(const std::filesystem::path& checkpoint,
                                     const TensorAblation& ablation);

}  // namespace lenswright
