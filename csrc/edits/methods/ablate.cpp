#include "edits/methods/ablate.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "edits/make_edit.h"
#include "edits/methods/list.h"
#include "edits/remarks.h"
#include "edits/targets.h"

namespace lenswright {
namespace {

const AblationMethod& method_named(const std::string& name) {
  std::vector<std::string> known;
  for (const AblationMethod& method : kMethods) {
    if (name == method.name) return method;
    known.emplace_back(method.name);
  }
  TORCH_CHECK_VALUE(false, "method is '", name, "'", did_you_mean(name, known));
}

void check_fits(const AblationMethod& method, const Ablation& ablation) {
  const Directions& given = ablation.directions;
  const std::string name = method.name;
  TORCH_CHECK_VALUE(given.read.defined() == method.reads, "read is ",
                    method.reads ? "missing, which method '" : "given, which method '", name,
                    method.reads ? "' cannot do without" : "' does not take; expected 'oblique'");
  TORCH_CHECK_VALUE(ablation.ridge == 0.0 || name == "ridge", "ridge is ", ablation.ridge,
                    ", which method '", name, "' does not take; expected 'ridge'");
  TORCH_CHECK_VALUE(name != "projected" || given.against.defined(),
                    "against is missing, which method 'projected' cannot do without");
}

// Factors of writers, made once for all whose aims and strengths are equal.
class Maker {
 public:
  Maker(const Model& model, const Ablation& ablation)
      : model_(model),
        ablation_(ablation),
        method_(method_named(ablation.method)),
        aims_((check_fits(method_, ablation), model), ablation.directions, method_.many) {}

  /// Why a writer gets none, or "".
  std::string spared(const WriterSite& writer) const {
    const auto found = ablation_.strengths.spared.find(writer.name);
    return found != ablation_.strengths.spared.end() ? found->second : aims_.lacks(writer);
  }

  Factors of(const WriterSite& writer) {
    const Strength strength{weight(writer), ablation_.ridge};
    const Aim& aim = aims_.of(writer);
    const auto key = std::make_tuple(aims_.key(writer), strength.weight);
    auto found = shared_.find(key);
    if (found == shared_.end()) {
      found = shared_.emplace(key, method_.shared(aim, strength)).first;
    }
    // A norm's bias has one input: it is projected, as every bias is.
    if (!method_.own || writer.inputs == 1) return found->second;
    return method_.own(WriterValues(model_, writer), aim, strength, found->second);
  }

 private:
  double weight(const WriterSite& writer) const {
    const auto own = ablation_.strengths.writers.find(writer.name);
    const double weight =
        own == ablation_.strengths.writers.end() ? ablation_.strengths.all : own->second;
    TORCH_CHECK_VALUE(std::isfinite(weight), "strength is ", weight, ", expected a finite number");
    return weight;
  }

  const Model& model_;
  const Ablation& ablation_;
  const AblationMethod& method_;
  Aims aims_;
  std::map<std::tuple<std::pair<int64_t, std::string>, double>, Factors> shared_;
};

Json provenance_of(const Model& model, const Ablation& ablation) {
  Json json = ablation.provenance, writers = Json::array();
  for (const std::string& writer : ablation.writers) writers.push_back(writer);
  json.set("method", ablation.method);
  json.set("writers", writers);
  json.set("model", facts_of(model));
  const Json told = remarks_of(model.spec());
  if (told.size() > 0) json.set("remarks", told);
  return json;
}

}  // namespace

std::shared_ptr<Edit> ablate(const Model& model, const Ablation& ablation) {
  TORCH_CHECK_VALUE(std::isfinite(ablation.strengths.all), "strength is ", ablation.strengths.all,
                    ", expected a finite number");
  Targets targets = choose_writers(model.writers(), ablation.writers);
  Maker maker(model, ablation);
  std::map<std::string, Factors> factors;
  std::map<std::string, std::string> notes;
  for (const WriterSite* writer : targets.chosen) {
    const std::string why = maker.spared(*writer);
    if (!why.empty()) {
      targets.reasons[writer->name] = why;
      continue;
    }
    factors[writer->name] = maker.of(*writer);
    notes[writer->name] = note_of(*writer, model.spec());
  }
  TORCH_CHECK_VALUE(!factors.empty(), "no writer is left to edit: '", targets.chosen.front()->name,
                    "': ", targets.reasons.at(targets.chosen.front()->name));
  return make_edit(model, factors, targets.reasons, notes, provenance_of(model, ablation));
}

}  // namespace lenswright
