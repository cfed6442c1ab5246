#pragma once

#include <memory>
#include <string>
#include <vector>

#include "edits/edit.h"

namespace lenswright {

// Arithmetic of edits as maps of the weights they were made for. Each throws ValueError naming the
// writer where the result has no such form, and where edits were made for different tensors.

/// W + (W' - W) + (W'' - W), for each writer of either.
std::shared_ptr<Edit> sum(const Edit& first, const Edit& second);

/// `then` on what `first` made.
std::shared_ptr<Edit> composed(const Edit& first, const Edit& then);

/// W + t (W' - W): strength t of it; -1 is what it did, done the other way.
std::shared_ptr<Edit> scaled(const Edit& edit, double t);

/// What takes edited weights back, up to their rounding: made for tensors nobody has seen yet.
std::shared_ptr<Edit> inverse(const Edit& edit);

/// The part of an edit that concerns these writers ("all", kinds, names, globs), layers and experts
/// (empty: any). ValueError where nothing is left.
struct Restriction {
  std::vector<std::string> writers = {"all"};
  std::vector<int64_t> layers, experts;
};
std::shared_ptr<Edit> restricted(const Edit& edit, const Restriction& to);

}  // namespace lenswright
