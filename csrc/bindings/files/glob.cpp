#include "base/glob.h"

#include "bindings/files/bindings.h"

namespace py = pybind11;

namespace lenswright {

void bind_glob(py::module_& m) {
  py::class_<Glob>(m, "Glob", R"doc(
A pattern for names: ``*``, ``?``, ``[a-z]``, ``[!a-z]``, ``{a,b}``, ``{0..5}``; ``\`` takes the next character literally.

Raises:
    ValueError: a malformed pattern.
)doc")
      .def(py::init<std::string_view>(), py::arg("pattern"))
      .def("matches", &Glob::matches, py::arg("name"))
      .def_property_readonly("pattern", &Glob::pattern)
      .def("__repr__", [](const Glob& g) { return py::str("Glob({!r})").format(g.pattern()); });
}

}  // namespace lenswright
