#include "merge/magnitude.h"
#include "merge/methods/list.h"

namespace lenswright {

Method ties_method() {
  Method method;
  method.name = "ties";
  method.source = "Yadav et al. 2023, arXiv:2306.01708";
  method.base = Method::Base::required;
  method.parameters = sparse_parameters(true, false);
  method.start = [](const Task& task) { return ranked(task, largest(task), true); };
  return method;
}

}  // namespace lenswright
