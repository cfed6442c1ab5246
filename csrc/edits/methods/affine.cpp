#include "edits/methods/affine.h"

#include <ATen/ATen.h>

#include "edits/constants.h"
#include "edits/make_edit.h"
#include "edits/methods/oblique.h"
#include "edits/methods/subspace.h"
#include "edits/remarks.h"

namespace lenswright {
namespace {

void check(const Model& model, const Affine& given) {
  const Spec& spec = model.spec();
  TORCH_CHECK_VALUE(spec.norms != NormPlacement::behind,
                    "affine: norms stand behind the sums of residual and branch in this model (",
                    spec.family, "), which turn what was written");
  TORCH_CHECK_VALUE(spec.position != PositionKind::sinusoidal, "affine: this model (", spec.family,
                    ") computes its positions, and what they add along the direction would stay");
  const at::Tensor& target = given.target;
  const bool one = target.dim() == 1;
  const bool each = target.dim() == 2 && target.size(0) == spec.n_layers + 1;
  TORCH_CHECK_VALUE((one || each) && target.size(-1) == spec.d_model, "target has shape ",
                    target.sizes(), ", expected [", spec.d_model, "] or [", spec.n_layers + 1, ", ",
                    spec.d_model, "], one before each layer and one at the end");
  TORCH_CHECK_VALUE(at::isfinite(target).all().item<bool>(),
                    "target has numbers that are not finite");
}

// A writer's factors of both edits: what is put back is put behind what is removed.
void put(Factors& factors, const Factors& constant) {
  factors.a = constant.a;
  factors.b = constant.b;
  factors.shift = constant.shift;
}

}  // namespace

std::shared_ptr<Edit> affine(const Model& model, const Affine& given) {
  check(model, given);
  Directions directions;
  directions.directions.all = given.direction;
  directions.read.all = given.read;
  Aims aims(model, directions, true);
  const auto projection = given.read.defined() ? oblique : subspace;
  std::map<std::string, Factors> factors;
  std::map<std::string, std::string> notes;
  std::map<std::pair<int64_t, std::string>, Factors> shared;
  for (const WriterSite& writer : model.writers()) {
    const auto key = aims.key(writer);
    if (!shared.contains(key)) shared[key] = projection(aims.of(writer), {});
    factors[writer.name] = shared[key];
    notes[writer.name] = note_of(writer, model.spec());
  }
  // What the projection takes from the target, in residual space: that is to be there instead.
  WriterSite residual;
  const Factors plain = projection(aims.of(residual), {});
  const at::Tensor target = given.target.detach().to(at::kCPU, at::kDouble);
  const at::Tensor wanted = at::matmul(at::matmul(target, plain.v.t()), plain.u);
  const int64_t places = target.dim() == 2 ? target.size(0) : 1;
  at::Tensor before = at::zeros({model.spec().d_model}, at::kDouble);
  for (int64_t place = 0; place < places; ++place) {
    const at::Tensor now = target.dim() == 2 ? wanted[place] : wanted;
    const at::Tensor step = now - before;
    before = now;
    if ((step == 0).all().item<bool>()) continue;
    for (const auto& [name, constant] : constant_at(model, place, step))
      put(factors[name], constant);
  }
  Json provenance = given.provenance;
  provenance.set("method", given.read.defined() ? "leace" : "affine");
  provenance.set("model", facts_of(model));
  const Json told = remarks_of(model.spec());
  if (told.size() > 0) provenance.set("remarks", told);
  return make_edit(model, factors, {}, notes, provenance);
}

}  // namespace lenswright
