#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "model/model.h"
#include "spec/misreadings.h"

namespace py = pybind11;

namespace lenswright {
namespace {

// (knob, value, name) of each that this model can be misread by.
std::vector<std::tuple<std::string, std::string, std::string>> applicable(const Model& model) {
  std::vector<std::tuple<std::string, std::string, std::string>> list;
  for (const Misreading& one : misreadings(model.spec())) {
    if (one.applies(model.spec(), model.rows())) {
      list.emplace_back(one.knob, one.value, one.name());
    }
  }
  return list;
}

}  // namespace

void bind_rereading(py::module_& m) {
  m.def("misreadings", &applicable, py::arg("model"),
        "Ways in which this model could be misread: (knob, value, name) each.");
  m.def(
      "all_misreadings",
      [] {
        std::vector<std::string> names;
        for (const Misreading& one : misreadings()) names.push_back(one.name());
        return names;
      },
      "The names of all misreadings of any model.");
  m.def(
      "reread",
      [](const Model& model, const std::vector<std::string>& misreadings,
         const std::string& dtype) { return model.reread(misreadings, dtype); },
      py::arg("model"), py::arg("misreadings") = std::vector<std::string>{}, py::arg("dtype") = "",
      py::call_guard<py::gil_scoped_release>(),
      "The same tensors, misread on purpose or computed in another type.");
}

}  // namespace lenswright
