#include "merge/magprune.h"
#include "merge/methods/list.h"

namespace lenswright {

Method della_linear_method() {
  Method method;
  method.name = "della_linear";
  method.source = "Deep et al. 2024, arXiv:2406.11617, without electing";
  method.base = Method::Base::required;
  method.random = true;
  method.parameters = sparse_parameters(
      false, true, {{"epsilon", true, false, {}, Parameter::Kind::number, 0, 0.5}});
  method.start = [](const Task& task) { return drawn<MagPrune>(task, false); };
  return method;
}

}  // namespace lenswright
