#include "merge/methods/list.h"
#include "merge/whole.h"

namespace lenswright {

// Means weighted by Fisher information. The arithmetic: merging/whole/fisher.py.
Method fisher_method() {
  Method method;
  method.name = "fisher";
  method.source = "Matena and Raffel 2022, arXiv:2111.09832";
  method.least = 2;
  method.whole = true;
  method.parameters = {
      {"weight", true, false, 1.0},
      {"floor", false, false, 1e-6, Parameter::Kind::number, 0},
  };
  method.start = &whole_work;
  return method;
}

}  // namespace lenswright
