#include "merge/magnitude.h"
#include "merge/methods/list.h"

namespace lenswright {

Method breadcrumbs_method() {
  Method method;
  method.name = "breadcrumbs";
  method.source = "Davari and Belilovsky 2023, arXiv:2312.06795";
  method.base = Method::Base::required;
  method.parameters = sparse_parameters(
      false, false, {{"gamma", true, false, 0.01, Parameter::Kind::number, 0, 1}});
  method.start = [](const Task& task) { return ranked(task, without_outliers(task), false); };
  return method;
}

}  // namespace lenswright
