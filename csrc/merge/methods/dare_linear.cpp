#include "merge/bernoulli.h"
#include "merge/methods/list.h"

namespace lenswright {

Method dare_linear_method() {
  Method method;
  method.name = "dare_linear";
  method.source = "Yu et al. 2023, arXiv:2311.03099";
  method.base = Method::Base::required;
  method.random = true;
  method.parameters = sparse_parameters(false, true);
  method.start = [](const Task& task) { return drawn<Bernoulli>(task, false); };
  return method;
}

}  // namespace lenswright
