#include "merge/plan_values.h"

#include "merge/refuse.h"

namespace lenswright {
namespace {

// Of the levels of a recipe the innermost that says something holds.
std::optional<double> value_of(const Parameter& parameter, const std::string& tensor, double depth,
                               const Parts& parts, const Settings* own) {
  for (const Settings* level : {own, parts.levels[0], parts.levels[1], parts.levels[2]}) {
    if (level == nullptr) continue;
    const auto it = level->find(parameter.name);
    if (it == level->end()) continue;
    if (const auto value = it->second.at(tensor, depth)) return value;
  }
  return parameter.fallback;
}

void check_values(const Job& job) {
  const std::string where = " for tensor " + in_quotes(job.name);
  if (job.method->name == "linear" && job.values.flag("normalize")) {
    double sum = 0;
    for (const Operand& operand : job.operands) sum += operand.own.at("weight");
    if (sum == 0)
      refuse("weight: the weights" + where + " add up to 0; nothing can be divided by it");
  }
  for (const Operand& operand : job.operands) {
    if (!operand.own.has("epsilon") || operand.own.at("density") >= 1) continue;
    const double density = operand.own.at("density"), epsilon = operand.own.at("epsilon");
    if (density - epsilon >= 0 && density + epsilon <= 1) continue;
    refuse("epsilon is " + Json(epsilon).dump() + " and density " + Json(density).dump() + where +
           "; expected density - epsilon and density + epsilon between 0 and 1");
  }
}

}  // namespace

void set_values(Job& job, double depth, const Parts& parts) {
  for (const Parameter& parameter : job.method->parameters) {
    for (size_t i = 0; i < job.operands.size(); ++i) {
      if (!parameter.own && i > 0) break;
      if (parameter.own && static_cast<int>(i) == job.base) continue;
      const Settings* own = parameter.own ? parts.parts[i].own : nullptr;
      const auto found = value_of(parameter, job.name, depth, parts, own);
      if (found) {
        (parameter.own ? job.operands[i].own : job.values).set(parameter.name, *found);
      } else if (parameter.required) {
        const std::string whose =
            parameter.own ? " of model " + in_quotes(job.operands[i].input->name()) : "";
        refuse("parameters: no " + parameter.name + whose + " for tensor " + in_quotes(job.name) +
               "; " + job.method->name + " needs one");
      }
    }
  }
  check_values(job);
}

}  // namespace lenswright
