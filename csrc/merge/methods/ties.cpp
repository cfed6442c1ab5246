#include "merge/magnitude.h"
#include "merge/methods/list.h"

namespace lenswright {

Method ties_method() {
  Method method;
  method.name = "ties";
  method.source = "Yadav et al. 2023, arXiv:2306.01708";
  method.base = Method::Base::required;
  method.parameters = task_vector_parameters(true, false);
  method.parameters.push_back({"density", true, false, 1.0, Parameter::Kind::number, 0, 1});
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    const bool rescale = task.values.flag("rescale");
    auto sparsifier = largest(task);
    return std::make_unique<TaskVectors>(task, std::move(sparsifier), true, rescale);
  };
  return method;
}

}  // namespace lenswright
