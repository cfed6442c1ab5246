#include "merge/magprune.h"
#include "merge/methods/list.h"

namespace lenswright {

Method della_method() {
  Method method;
  method.name = "della";
  method.source = "Deep et al. 2024, arXiv:2406.11617";
  method.base = Method::Base::required;
  method.random = true;
  method.parameters = sparse_parameters(
      true, true, {{"epsilon", true, false, {}, Parameter::Kind::number, 0, 0.5}});
  method.start = [](const Task& task) { return drawn<MagPrune>(task, true); };
  return method;
}

}  // namespace lenswright
