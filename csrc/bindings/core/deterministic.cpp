#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "nn/deterministic.h"

namespace py = pybind11;

namespace lenswright {
namespace {

// DeterministicGuard as a context manager: entered and left from Python.
struct DeterministicContext {
  explicit DeterministicContext(bool on) : on(on) {}
  bool on;
  std::vector<std::unique_ptr<DeterministicGuard>> guards;
};

}  // namespace

void bind_deterministic(py::module_& m) {
  py::class_<DeterministicContext>(m, "deterministic", R"doc(
Within it, results on the CPU are the same bytes for any batch, padding and thread count.

Args:
    on: False switches back to fast runs inside an outer context.
)doc")
      .def(py::init<bool>(), py::arg("on") = true)
      .def("__enter__",
           [](DeterministicContext& self) {
             self.guards.push_back(std::make_unique<DeterministicGuard>(self.on));
           })
      .def("__exit__", [](DeterministicContext& self, const py::args&) { self.guards.pop_back(); });
  m.def("is_deterministic", &deterministic, "Whether this thread is within deterministic().");
}

}  // namespace lenswright
