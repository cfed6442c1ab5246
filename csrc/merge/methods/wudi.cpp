#include "merge/methods/list.h"
#include "merge/whole.h"

namespace lenswright {

// The least interference, in closed form. The arithmetic: merging/whole/wudi.py.
Method wudi_method() {
  Method method;
  method.name = "wudi";
  method.source = "Cheng et al. 2025, arXiv:2503.08099, solved exactly";
  method.base = Method::Base::required;
  method.least = 1;
  method.whole = true;
  method.parameters = {
      {"lambda", false, false, 1.0},
  };
  method.start = &whole_work;
  return method;
}

}  // namespace lenswright
