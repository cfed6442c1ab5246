#include "merge/methods/list.h"
#include "merge/whole.h"

namespace lenswright {

// Task singular vectors, made orthogonal between tasks. The arithmetic: merging/whole/tsv.py.
Method tsv_method() {
  Method method;
  method.name = "tsv";
  method.source = "Gargiulo et al. 2025, arXiv:2412.00081";
  method.base = Method::Base::required;
  method.least = 1;
  method.whole = true;
  method.parameters = {
      {"weight", true, false, 1.0},
      {"lambda", false, false, 1.0},
  };
  method.start = &whole_work;
  return method;
}

}  // namespace lenswright
