#include "edits/aims.h"

#include <ATen/ATen.h>

#include <cmath>

#include "edits/behind_norm.h"

namespace lenswright {
namespace {

constexpr double kDependent = 1e-10;  // lengths below this share of the largest are rounding

// [..., d] at length 1, in two steps so that squares neither overflow nor vanish.
at::Tensor unit(const at::Tensor& vectors, const std::string& name) {
  const at::Tensor largest = vectors.abs().amax(-1, true);
  TORCH_CHECK_VALUE((largest > 0).all().item<bool>(), name, " is zero, expected a direction");
  const at::Tensor scaled = vectors / largest;
  return (scaled / at::linalg_vector_norm(scaled, 2, -1, true)).contiguous();
}

// What vectors [..., k, d] have in common with the span of `against` [..., m, d] is taken out.
// Twice, as in Gram-Schmidt: once leaves rounding of the size of what was removed.
at::Tensor apart(at::Tensor vectors, const at::Tensor& against, double strength) {
  const auto [u, s, basis] = at::linalg_svd(against, false);
  const at::Tensor kept = basis * (s > kDependent * s.amax(-1, true)).unsqueeze(-1);
  const at::Tensor length = at::linalg_vector_norm(vectors, 2, -1, true);
  for (int pass = 0; pass < (strength == 1.0 ? 2 : 1); ++pass) {
    vectors = vectors - strength * at::matmul(at::matmul(vectors, kept.transpose(-1, -2)), kept);
  }
  const at::Tensor left = at::linalg_vector_norm(vectors, 2, -1, true);
  TORCH_CHECK_VALUE((left > kDependent * length).all().item<bool>(),
                    "direction lies in the span of against: nothing of it is left");
  return vectors;
}

const at::Tensor* at_layer(const Vectors& vectors, int64_t layer) {
  if (vectors.all.defined()) return &vectors.all;
  const auto found = vectors.layers.find(layer);
  return found == vectors.layers.end() ? nullptr : &found->second;
}

}  // namespace

Aims::Aims(const Model& model, const Directions& given, bool many)
    : model_(model), rows_(given.rows), against_strength_(given.against_strength) {
  TORCH_CHECK_VALUE(std::isfinite(against_strength_), "against_strength is ", against_strength_,
                    ", expected a finite number");
  directions_ = checked(given.directions, "direction", many);
  if (given.read.defined()) read_ = checked(given.read, "read", many);
  if (given.against.defined()) against_ = checked(given.against, "against", true);
}

Vectors Aims::checked(const Vectors& given, const char* name, bool many) const {
  TORCH_CHECK_VALUE(given.all.defined() != !given.layers.empty(), name,
                    ": expected one tensor, or one for each of some layers");
  const int64_t width = model_.spec().d_model;
  const auto one = [&](const at::Tensor& tensor, const std::string& whose) {
    const int64_t least = rows_ ? 2 : 1;
    const bool shaped = tensor.dim() == least || (many && tensor.dim() == least + 1);
    TORCH_CHECK_VALUE(shaped && tensor.size(-1) == width && tensor.numel() > 0, whose,
                      " has shape ", tensor.sizes(), ", expected [", rows_ ? "rows, " : "", width,
                      "]", many ? ", or several with an axis before the last" : "");
    at::Tensor d = tensor.detach().to(at::kCPU, at::kDouble);
    TORCH_CHECK_VALUE(at::isfinite(d).all().item<bool>(), whose,
                      " has numbers that are not finite");
    if (d.dim() == least) d = d.unsqueeze(-2);
    return unit(d, whose);
  };
  Vectors form;
  if (given.all.defined()) form.all = one(given.all, name);
  for (const auto& [layer, tensor] : given.layers) {
    TORCH_CHECK_INDEX(layer >= 0 && layer < model_.spec().n_layers, name, " has layer ", layer,
                      ", expected 0 to ", model_.spec().n_layers - 1);
    form.layers[layer] = one(tensor, std::string(name) + " of layer " + std::to_string(layer));
  }
  return form;
}

std::string Aims::lacks(const WriterSite& writer) const {
  const int layer = writer.output.layer;
  const auto check = [&](const Vectors& vectors, const std::string& noun) -> std::string {
    if (!vectors.defined() || at_layer(vectors, layer)) return "";
    return layer < 0 ? noun + "s are given for layers, and it is in none"
                     : "no " + noun + " is given for layer " + std::to_string(layer);
  };
  for (const std::string& why : {check(directions_, "direction"), check(read_, "reading vector"),
                                 check(against_, "vector to be orthogonal to")}) {
    if (!why.empty()) return why;
  }
  return "";
}

std::pair<int64_t, std::string> Aims::key(const WriterSite& writer) const {
  const bool alike = directions_.layers.empty() && read_.layers.empty() && against_.layers.empty();
  return {alike ? -1 : writer.output.layer, writer.norm};
}

at::Tensor Aims::aimed(const WriterSite& writer, const Vectors& vectors) const {
  const at::Tensor& given = *at_layer(vectors, writer.output.layer);
  if (!against_.defined()) return given;
  return apart(given, *at_layer(against_, writer.output.layer), against_strength_);
}

const Aim& Aims::of(const WriterSite& writer) {
  const auto own = key(writer);
  const auto found = made_.find(own);
  if (found != made_.end()) return found->second;
  const std::string before = " as it stands before " + writer.norm;
  const at::Tensor directions = aimed(writer, directions_);
  Aim aim;
  if (read_.defined()) {
    const at::Tensor& read = *at_layer(read_, writer.output.layer);
    TORCH_CHECK_VALUE(read.size(-2) == directions.size(-2), "read has ", read.size(-2),
                      " vectors, expected as many as direction has: ", directions.size(-2));
    aim.read = unit(before_norm(model_, writer, read), "read" + before);
    aim.write = unit(written_before_norm(model_, writer, directions), "direction" + before);
  } else {
    aim.read = unit(before_norm(model_, writer, directions), "direction" + before);
    aim.write = aim.read;
  }
  return made_.emplace(own, std::move(aim)).first->second;
}

}  // namespace lenswright
