#include "merge/methods/list.h"
#include "merge/whole.h"

namespace lenswright {

// The sum of task vectors with one singular value. The arithmetic: merging/whole/iso_c.py.
Method iso_c_method() {
  Method method;
  method.name = "iso_c";
  method.source = "Marczak et al. 2025, arXiv:2502.04959, Iso-C";
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
