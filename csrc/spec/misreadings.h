#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/rows.h"
#include "spec/spec.h"

namespace lenswright {

/// One way to take a checkpoint for what it is not: what its family would say if one of its rows,
/// or one number of its spec, had been written wrong. Tensors and their shapes stay as they are, so
/// nothing but a worse prediction betrays it.
struct Misreading {
  using Applies = std::function<bool(const Spec& spec, const std::vector<Row>& rows)>;
  using Change = std::function<void(Spec& spec, std::vector<Row>& rows)>;

  std::string knob;   // what is misread: "rope layout"
  std::string value;  // as what: "adjacent"
  Applies applies;    // whether a model can be misread so: false where it would change nothing
  Change change;

  std::string name() const { return knob + ": " + value; }
};

/// Every misreading known of any model, knob by knob. Misreading a misread model the other way
/// leads back.
const std::vector<Misreading>& misreadings();

/// Those, and the numbers that a model's own config.json states, each where its key may mean it.
std::vector<Misreading> misreadings(const Spec& spec);

/// Throws std::invalid_argument naming the nearest.
Misreading misreading_of(std::string_view name, const Spec& spec);

}  // namespace lenswright
