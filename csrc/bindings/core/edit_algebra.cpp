#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "edits/arithmetic.h"
#include "edits/low_rank.h"
#include "edits/stack.h"

namespace py = pybind11;

namespace lenswright {
namespace {

std::shared_ptr<Edit> restrict_to(const Edit& edit, std::vector<std::string> writers,
                                  std::vector<int64_t> layers, std::vector<int64_t> experts) {
  return restricted(edit, {std::move(writers), std::move(layers), std::move(experts)});
}

std::map<std::string, std::pair<at::Tensor, at::Tensor>> low_rank_of(const Model& model,
                                                                     const Edit& edit) {
  std::map<std::string, std::pair<at::Tensor, at::Tensor>> all;
  for (auto& [writer, change] : low_rank(model, edit)) all[writer] = {change.out, change.in};
  return all;
}

}  // namespace

void bind_edit_algebra(py::module_& m) {
  const auto free = py::call_guard<py::gil_scoped_release>();
  m.def("sum_edits", py::overload_cast<const Edit&, const Edit&>(&sum), py::arg("first"),
        py::arg("second"), free, "W + (W' - W) + (W'' - W).");
  m.def("compose_edits", py::overload_cast<const Edit&, const Edit&>(&composed), py::arg("first"),
        py::arg("then"), free, "The second edit on what the first made.");
  m.def("scale_edit", py::overload_cast<const Edit&, double>(&scaled), py::arg("edit"),
        py::arg("scale"), free, "W + scale (W' - W).");
  m.def("invert_edit", py::overload_cast<const Edit&>(&inverse), py::arg("edit"), free,
        "What takes edited weights back.");
  m.def("restrict_edit", &restrict_to, py::arg("edit"), py::arg("writers"), py::arg("layers"),
        py::arg("experts"), free, "The part of an edit that concerns some writers.");
  m.def("restrict_edit_to_heads", &restricted_to_heads, py::arg("model"), py::arg("edit"),
        py::arg("heads"), free, "What an edit does to the attention's outputs through some heads.");
  m.def("stack_edits", &stacked, py::arg("edits"), free, "Many edits as rows of one.");
  m.def("low_rank", &low_rank_of, py::arg("model"), py::arg("edit"), free,
        "What an edit adds to weights, as (out [r, d_model], in [r, inputs]) by writer.");
}

}  // namespace lenswright
