#include "base/philox.h"
#include "bindings/files/bindings.h"

namespace py = pybind11;

namespace lenswright {

void bind_random(py::module_& m) {
  py::class_<Philox>(m, "Philox", R"doc(
Random numbers by place: the value at an index depends on (seed, stream, index) alone.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10).
)doc")
      .def(py::init<uint64_t, std::string_view>(), py::arg("seed"), py::arg("stream"))
      .def("word", &Philox::word, py::arg("index"), "A 32-bit word.")
      .def("uniform", &Philox::uniform, py::arg("index"), "Uniform in [0, 1), 53 bits.")
      .def("normal", &Philox::normal, py::arg("index"), "Standard normal.");
}

}  // namespace lenswright
