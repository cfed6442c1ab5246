#include "merge/methods/list.h"
#include "merge/whole.h"

namespace lenswright {

// Regression on the inputs of linear modules. The arithmetic: merging/whole/regmean.py.
Method regmean_method() {
  Method method;
  method.name = "regmean";
  method.source = "Jin et al. 2023, arXiv:2212.09849";
  method.least = 2;
  method.whole = true;
  method.parameters = {
      {"weight", true, false, 1.0},
      {"alpha", false, false, 0.9, Parameter::Kind::number, 0, 1},
  };
  method.start = &whole_work;
  return method;
}

}  // namespace lenswright
