#pragma once

#include <map>
#include <string>
#include <tuple>

#include "model/model.h"

namespace lenswright {

/// Vectors of the residual stream: one for all layers, or one for each of some.
struct Vectors {
  at::Tensor all;
  std::map<int64_t, at::Tensor> layers;

  bool defined() const { return all.defined() || !layers.empty(); }
};

/// What an edit of directions is given, in residual space.
struct Directions {
  Vectors directions;             // [d_model] or [k, d_model], of any length but 0
  Vectors read;                   // as many: what is measured where it is not what is removed
  Vectors against;                // directions are made orthogonal to these first
  double against_strength = 1.0;  // 1: orthogonal; less leaves some of what they share
  bool rows = false;              // with a leading axis: row i of a batch gets its own
};

/// What is aimed at in one writer's output: `write` is removed as far as `read` sees it. [k, out]
/// or [rows, k, out] float64; of length 1 each.
struct Aim {
  at::Tensor write, read;
};

/// Aims of writers, made once for all that share theirs.
class Aims {
 public:
  /// Throws ValueError where a vector is zero, not finite or of another size, IndexError where the
  /// model lacks a layer. `many`: whether there may be several directions.
  Aims(const Model& model, const Directions& given, bool many);

  /// Why a writer has no aim, or "".
  std::string lacks(const WriterSite& writer) const;
  const Aim& of(const WriterSite& writer);
  /// Equal for writers of equal aims.
  std::pair<int64_t, std::string> key(const WriterSite& writer) const;

 private:
  Vectors checked(const Vectors& given, const char* name, bool many) const;
  at::Tensor aimed(const WriterSite& writer, const Vectors& vectors) const;

  const Model& model_;
  bool rows_;
  Vectors directions_, read_, against_;
  double against_strength_;
  std::map<std::pair<int64_t, std::string>, Aim> made_;  // by layer and norm
};

}  // namespace lenswright
