#include "merge/active.h"
#include "merge/methods/list.h"

namespace lenswright {

Method ramplus_tl_method() {
  Method method;
  method.name = "ramplus_tl";
  method.source = "Reinforced Agent Merging (RAM+), tensor by tensor, as mergekit has it";
  method.base = Method::Base::required;
  method.parameters = {
      {"epsilon", false, false, 1e-5, Parameter::Kind::number, 0, 1e300},
      {"r", false, false, 0.1},
      {"alpha", false, false, 0.2, Parameter::Kind::number, 0, 1e300},
  };
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<ActiveWork>(task, true);
  };
  return method;
}

}  // namespace lenswright
