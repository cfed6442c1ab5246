#include "merge/active.h"
#include "merge/methods/list.h"

namespace lenswright {

Method ram_method() {
  Method method;
  method.name = "ram";
  method.source = "Reinforced Agent Merging, as mergekit has it";
  method.base = Method::Base::required;
  method.parameters = {{"epsilon", false, false, 1e-5, Parameter::Kind::number, 0, 1e300}};
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<ActiveWork>(task, false);
  };
  return method;
}

}  // namespace lenswright
