#include "bindings/files/progress.h"

#include <memory>

namespace py = pybind11;

namespace lenswright {

Progress::Report python_report(py::object callback) {
  // The function object is copied and destroyed where the GIL is not held.
  const std::shared_ptr<py::object> held(new py::object(std::move(callback)), [](py::object* p) {
    const py::gil_scoped_acquire gil;
    delete p;
  });
  return [held](int64_t done, int64_t total) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    return held->is_none() || !(*held)(done, total).is(py::bool_(false));
  };
}

}  // namespace lenswright
