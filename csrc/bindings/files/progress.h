#pragma once

#include <pybind11/pybind11.h>

#include "base/progress.h"

namespace lenswright {

/// Reports to a Python callable (done, total), which stops the work by returning False; None for no
/// callable. Either way Ctrl-C is noticed. Call from code that has released the GIL.
Progress::Report python_report(pybind11::object callback);

}  // namespace lenswright
