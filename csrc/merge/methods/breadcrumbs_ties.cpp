#include "merge/magnitude.h"
#include "merge/methods/list.h"

namespace lenswright {

Method breadcrumbs_ties_method() {
  Method method;
  method.name = "breadcrumbs_ties";
  method.source = "Davari and Belilovsky 2023, arXiv:2312.06795; electing: arXiv:2306.01708";
  method.base = Method::Base::required;
  method.parameters = task_vector_parameters(false, false);
  method.parameters.push_back({"density", true, false, 1.0, Parameter::Kind::number, 0, 1});
  method.parameters.push_back({"gamma", true, false, 0.01, Parameter::Kind::number, 0, 1});
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    const bool rescale = task.values.flag("rescale");
    auto sparsifier = without_outliers(task);
    return std::make_unique<TaskVectors>(task, std::move(sparsifier), true, rescale);
  };
  return method;
}

}  // namespace lenswright
