#include "edits/remarks.h"

namespace lenswright {

Json facts_of(const Model& model) {
  Json facts = Json::object();
  facts.set("family", model.spec().family);
  facts.set("n_layers", model.spec().n_layers);
  facts.set("d_model", model.spec().d_model);
  return facts;
}

Json remarks_of(const Spec& spec) {
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

}  // namespace lenswright
