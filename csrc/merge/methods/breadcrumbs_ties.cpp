#include "merge/magnitude.h"
#include "merge/methods/list.h"

namespace lenswright {

Method breadcrumbs_ties_method() {
  Method method;
  method.name = "breadcrumbs_ties";
  method.source = "Davari and Belilovsky 2023, arXiv:2312.06795; electing: arXiv:2306.01708";
  method.base = Method::Base::required;
  method.parameters = sparse_parameters(
      false, false, {{"gamma", true, false, 0.01, Parameter::Kind::number, 0, 1}});
  method.start = [](const Task& task) { return ranked(task, without_outliers(task), true); };
  return method;
}

}  // namespace lenswright
