#include "edits/methods/ablate.h"

#include <ATen/ATen.h>

#include <cmath>

#include "edits/behind_norm.h"
#include "edits/make_edit.h"
#include "edits/targets.h"

namespace lenswright {
namespace {

at::Tensor checked(const at::Tensor& direction, bool rows, int64_t width, const std::string& name) {
  const bool fits =
      direction.dim() == (rows ? 2 : 1) && direction.size(-1) == width && direction.numel() > 0;
  TORCH_CHECK_VALUE(fits, name, " has shape ", direction.sizes(), ", expected [",
                    rows ? "rows, " : "", width, "]");
  at::Tensor d = direction.detach().to(at::kCPU, at::kDouble);
  TORCH_CHECK_VALUE(at::isfinite(d).all().item<bool>(), name, " has numbers that are not finite");
  return d;
}

// [1, d_model] or [rows, 1, d_model], of length 1.
at::Tensor unit(const at::Tensor& direction, const std::string& name) {
  // In two steps, so that squares neither overflow nor vanish.
  const at::Tensor largest = direction.abs().amax(-1, true);
  TORCH_CHECK_VALUE((largest > 0).all().item<bool>(), name, " is zero, expected a direction");
  const at::Tensor scaled = direction / largest;
  return (scaled / at::linalg_vector_norm(scaled, 2, -1, true)).unsqueeze(-2).contiguous();
}

// Factors of writers, made once for all that need the same.
class Directions {
 public:
  Directions(const Model& model, const Ablation& ablation) : model_(model), ablation_(ablation) {
    const int64_t width = model.spec().d_model;
    if (ablation.direction.defined()) {
      all_ = checked(ablation.direction, ablation.rows, width, "direction");
      unit(all_, "direction");
    }
    for (const auto& [layer, direction] : ablation.layers) {
      TORCH_CHECK_INDEX(layer >= 0 && layer < model.spec().n_layers, "direction has layer ", layer,
                        ", expected 0 to ", model.spec().n_layers - 1);
      const std::string name = "direction of layer " + std::to_string(layer);
      layers_[layer] = checked(direction, ablation.rows, width, name);
      unit(layers_[layer], name);
    }
  }

  /// nullptr where no direction is given.
  const Factors* of(const WriterSite& writer) {
    const int layer = writer.output.layer;
    const auto own = layers_.find(layer);
    const bool given = all_.defined() || own != layers_.end();
    if (!given) return nullptr;
    const auto key = std::make_pair(all_.defined() ? -1 : layer, writer.norm);
    const auto found = made_.find(key);
    if (found != made_.end()) return &found->second;
    const at::Tensor& direction = all_.defined() ? all_ : own->second;
    const at::Tensor v = unit(before_norm(model_, writer, direction),
                              "direction as it stands before " + writer.norm);
    Factors factors;
    factors.v = v;
    factors.u = ablation_.strength == 1.0 ? v : ablation_.strength * v;
    return &made_.emplace(key, std::move(factors)).first->second;
  }

 private:
  const Model& model_;
  const Ablation& ablation_;
  at::Tensor all_;
  std::map<int64_t, at::Tensor> layers_;
  std::map<std::pair<int, std::string>, Factors> made_;  // by layer and norm
};

// What edits of models with norms between writers and residual have to say for themselves.
Json remarks(const Spec& spec) {
  Json remarks = Json::array();
  if (spec.has_norm_after()) {
    remarks.push_back(
        "norms stand behind the branches: what is removed from a branch's writers is "
        "normalize(gain * direction), so that nothing is added along the direction");
  }
  if (spec.embed_norm) {
    remarks.push_back(
        "a norm stands behind the embedding: what is removed from its table is "
        "normalize(gain * direction) with the mean taken out, and the direction from its bias");
  }
  if (spec.norms == NormPlacement::behind) {
    remarks.push_back(
        "norms stand behind the sums of residual and branch: they turn what was written, which "
        "the edit does not account for");
  }
  if (spec.position == PositionKind::sinusoidal) {
    remarks.push_back(
        "positions are computed and not stored: what they add along the direction stays");
  }
  return remarks;
}

std::string note_of(const WriterSite& writer, const Spec& spec) {
  if (!writer.norm.empty()) {
    return "as the gain of " + writer.norm.substr(writer.norm.rfind('.') + 1) + " lets it through";
  }
  const bool branch = writer.output.layer >= 0;
  return branch && spec.norms == NormPlacement::behind ? "before the norm of the sum" : "";
}

Json provenance_of(const Model& model, const Ablation& ablation) {
  Json writers = Json::array(), json = Json::object(), base = Json::object();
  for (const std::string& writer : ablation.writers) writers.push_back(writer);
  base.set("family", model.spec().family);
  base.set("n_layers", model.spec().n_layers);
  base.set("d_model", model.spec().d_model);
  json.set("method", "plain");
  json.set("writers", writers);
  json.set("strength", ablation.strength);
  json.set("direction", ablation.source);
  json.set("model", base);
  const Json told = remarks(model.spec());
  if (told.size() > 0) json.set("remarks", told);
  return json;
}

}  // namespace

std::shared_ptr<Edit> ablate(const Model& model, const Ablation& ablation) {
  TORCH_CHECK_VALUE(std::isfinite(ablation.strength), "strength is ", ablation.strength,
                    ", expected a finite number");
  TORCH_CHECK_VALUE(ablation.direction.defined() != !ablation.layers.empty(),
                    "direction: expected one tensor, or one for each of some layers");
  Targets targets = choose_writers(model.writers(), ablation.writers);
  Directions directions(model, ablation);
  std::map<std::string, Factors> factors;
  std::map<std::string, std::string> notes;
  for (const WriterSite* writer : targets.chosen) {
    const int layer = writer->output.layer;
    if (const Factors* own = directions.of(*writer)) {
      factors[writer->name] = *own;
      notes[writer->name] = note_of(*writer, model.spec());
    } else {
      targets.reasons[writer->name] =
          layer < 0 ? "directions are given for layers, and it is in none"
                    : "no direction is given for layer " + std::to_string(layer);
    }
  }
  return make_edit(model, factors, targets.reasons, notes, provenance_of(model, ablation));
}

}  // namespace lenswright
