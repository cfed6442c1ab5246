#include "edits/methods/add.h"

#include <ATen/ATen.h>

#include <cmath>

#include "edits/constants.h"
#include "edits/make_edit.h"
#include "edits/remarks.h"

namespace lenswright {

std::shared_ptr<Edit> add(const Model& model, const Addition& addition) {
  const int64_t width = model.spec().d_model;
  TORCH_CHECK_VALUE(std::isfinite(addition.strength), "strength is ", addition.strength,
                    ", expected a finite number");
  TORCH_CHECK_VALUE(!addition.layers.empty(), "layer is empty, expected at least one");
  std::map<std::string, Factors> factors;
  for (const auto& [layer, given] : addition.layers) {
    TORCH_CHECK_VALUE(given.dim() == (addition.rows ? 2 : 1) && given.size(-1) == width,
                      "direction has shape ", given.sizes(), ", expected [",
                      addition.rows ? "rows, " : "", width, "]");
    const at::Tensor vector = addition.strength * given.detach().to(at::kCPU, at::kDouble);
    TORCH_CHECK_VALUE(at::isfinite(vector).all().item<bool>(),
                      "direction has numbers that are not finite");
    factors.merge(constant_at(model, layer, vector));
  }
  Json provenance = addition.provenance;
  provenance.set("method", "add");
  provenance.set("strength", addition.strength);
  provenance.set("model", facts_of(model));
  return make_edit(model, factors, {}, {}, provenance);
}

}  // namespace lenswright
