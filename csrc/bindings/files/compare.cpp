#include "io/compare.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "bindings/files/bindings.h"
#include "bindings/files/progress.h"

namespace py = pybind11;

namespace lenswright {
namespace {

std::vector<TensorChange> compare_all(const Checkpoint& a, const Checkpoint& b, py::object callback,
                                      int threads) {
  Progress progress(python_report(std::move(callback)));
  const py::gil_scoped_release release;
  return compare(a, b, &progress, threads);
}

std::vector<std::tuple<std::string, std::string, std::string>> compare_json(const std::string& a,
                                                                            const std::string& b) {
  std::vector<std::tuple<std::string, std::string, std::string>> out;
  for (const JsonChange& change : compare(Json::parse(a, "a"), Json::parse(b, "b"))) {
    out.emplace_back(change.path, change.a, change.b);
  }
  return out;
}

}  // namespace

void bind_compare(py::module_& m) {
  py::class_<Distance>(m, "Distance", "How far two tensors are apart, in float64.")
      .def_readonly("elements", &Distance::elements)
      .def_readonly("different", &Distance::different)
      .def_readonly("not_a_number", &Distance::not_a_number)
      .def_readonly("relative", &Distance::relative, "|b - a| / |a|, Frobenius.")
      .def_readonly("max_abs", &Distance::max_abs)
      .def_readonly("cosine", &Distance::cosine);
  py::class_<TensorChange>(m, "TensorChange", "A tensor in two checkpoints.")
      .def_readonly("name", &TensorChange::name)
      .def_property_readonly(
          "kind", [](const TensorChange& c) { return change_name(c.kind); },
          "same, changed, dtype, shape, only_a or only_b")
      .def_readonly("a", &TensorChange::a)
      .def_readonly("b", &TensorChange::b)
      .def_readonly("distance", &TensorChange::distance);
  m.def("compare", &compare_all, py::arg("a"), py::arg("b"), py::arg("progress") = py::none(),
        py::arg("threads") = 0, "Compare two checkpoints tensor by tensor.");
  m.def("compare_json", &compare_json, py::arg("a"), py::arg("b"),
        "Keys whose values differ: (path, text in a, text in b), with \"\" where there is none.");
}

}  // namespace lenswright
