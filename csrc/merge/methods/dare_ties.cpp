#include "merge/bernoulli.h"
#include "merge/methods/list.h"

namespace lenswright {

Method dare_ties_method() {
  Method method;
  method.name = "dare_ties";
  method.source = "Yu et al. 2023, arXiv:2311.03099; electing: arXiv:2306.01708";
  method.base = Method::Base::required;
  method.random = true;
  method.parameters = sparse_parameters(false, true);
  method.start = [](const Task& task) { return drawn<Bernoulli>(task, true); };
  return method;
}

}  // namespace lenswright
