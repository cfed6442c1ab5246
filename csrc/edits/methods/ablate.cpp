#include "edits/methods/ablate.h"

#include <ATen/ATen.h>

#include <cmath>

#include "edits/make_edit.h"
#include "edits/targets.h"

namespace lenswright {
namespace {

// [1, d_model] or [rows, 1, d_model], of length 1.
at::Tensor unit(const at::Tensor& direction, bool rows, int64_t width, const std::string& name) {
  const bool fits =
      direction.dim() == (rows ? 2 : 1) && direction.size(-1) == width && direction.numel() > 0;
  TORCH_CHECK_VALUE(fits, name, " has shape ", direction.sizes(), ", expected [",
                    rows ? "rows, " : "", width, "]");
  const at::Tensor d = direction.detach().to(at::kCPU, at::kDouble);
  TORCH_CHECK_VALUE(at::isfinite(d).all().item<bool>(), name, " has numbers that are not finite");
  // In two steps, so that squares neither overflow nor vanish.
  const at::Tensor largest = d.abs().amax(-1, true);
  TORCH_CHECK_VALUE((largest > 0).all().item<bool>(), name, " is zero, expected a direction");
  const at::Tensor scaled = d / largest;
  return (scaled / at::linalg_vector_norm(scaled, 2, -1, true)).unsqueeze(-2).contiguous();
}

Factors without(const at::Tensor& v, double strength) {
  Factors factors;
  factors.u = strength * v;
  factors.v = v;
  return factors;
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
  return json;
}

class PerLayer {
 public:
  PerLayer(const Model& model, const Ablation& ablation) {
    for (const auto& [layer, direction] : ablation.layers) {
      TORCH_CHECK_INDEX(layer >= 0 && layer < model.spec().n_layers, "direction has layer ", layer,
                        ", expected 0 to ", model.spec().n_layers - 1);
      found_[layer] = without(unit(direction, ablation.rows, model.spec().d_model,
                                   "direction of layer " + std::to_string(layer)),
                              ablation.strength);
    }
  }

  const Factors* at(int64_t layer) const {
    const auto found = found_.find(layer);
    return found == found_.end() ? nullptr : &found->second;
  }

 private:
  std::map<int64_t, Factors> found_;
};

}  // namespace

std::shared_ptr<Edit> ablate(const Model& model, const Ablation& ablation) {
  TORCH_CHECK_VALUE(std::isfinite(ablation.strength), "strength is ", ablation.strength,
                    ", expected a finite number");
  TORCH_CHECK_VALUE(ablation.direction.defined() != !ablation.layers.empty(),
                    "direction: expected one tensor, or one for each of some layers");
  Targets targets = choose_writers(model.writers(), ablation.writers);
  std::map<std::string, Factors> factors;
  if (ablation.direction.defined()) {
    const Factors all =
        without(unit(ablation.direction, ablation.rows, model.spec().d_model, "direction"),
                ablation.strength);
    for (const WriterSite* writer : targets.chosen) factors[writer->name] = all;
  } else {
    const PerLayer layers(model, ablation);
    for (const WriterSite* writer : targets.chosen) {
      const int layer = writer->output.layer;
      if (const Factors* own = layers.at(layer)) {
        factors[writer->name] = *own;
      } else {
        targets.reasons[writer->name] =
            layer < 0 ? "directions are given for layers, and it is in none"
                      : "no direction is given for layer " + std::to_string(layer);
      }
    }
  }
  return make_edit(model, factors, targets.reasons, provenance_of(model, ablation));
}

}  // namespace lenswright
