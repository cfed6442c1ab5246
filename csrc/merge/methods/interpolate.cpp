#include "merge/methods/list.h"
#include "merge/whole.h"

namespace lenswright {

// Straight lines, head by head and inside a subspace apart. The arithmetic:
// merging/whole/interpolate.py.
Method interpolate_method() {
  Method method;
  method.name = "interpolate";
  method.source = "straight lines, by head and by subspace";
  method.base = Method::Base::required;
  method.most = 1;
  method.whole = true;
  method.parameters = {{"t", false, true}, {"t_subspace", false, false}};
  method.start = &whole_work;
  return method;
}

}  // namespace lenswright
