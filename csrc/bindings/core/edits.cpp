#include "edits/edit.h"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>
#include <torch/csrc/utils/pybind.h>

#include "base/error.h"
#include "bindings/core/bindings.h"
#include "bindings/core/taps.h"
#include "edits/apply.h"
#include "edits/behind_norm.h"
#include "edits/make_edit.h"
#include "edits/targets.h"
#include "edits/trial.h"

namespace py = pybind11;

namespace lenswright {
namespace {

using FactorTensors = std::map<std::string, at::Tensor>;

Json json_of(const std::string& text) { return Json::parse(text, "provenance"); }

Factors factors_of(const std::string& writer, const FactorTensors& tensors) {
  Factors factors;
  std::vector<std::string> known;
  for (const FactorSlot& slot : kFactorSlots) known.emplace_back(slot.name);
  for (const auto& [name, tensor] : tensors) {
    const auto slot = std::find_if(kFactorSlots.begin(), kFactorSlots.end(),
                                   [&](const FactorSlot& s) { return name == s.name; });
    TORCH_CHECK_VALUE(slot != kFactorSlots.end(), "factors of '", writer, "' have '", name,
                      "', expected S, U, V, C, A, B or shift", did_you_mean(name, known));
    factors.*slot->tensor = tensor;
  }
  return factors;
}

std::shared_ptr<Edit> edit_of(const Model& model,
                              const std::map<std::string, FactorTensors>& tensors,
                              const std::string& provenance,
                              const std::map<std::string, std::string>& reasons) {
  std::map<std::string, Factors> factors;
  for (const auto& [writer, own] : tensors) factors[writer] = factors_of(writer, own);
  return make_edit(model, factors, reasons, {}, json_of(provenance));
}

at::Tensor before_norm_of(const Model& model, const std::string& writer,
                          const at::Tensor& directions) {
  return before_norm(model, WriterIndex(model.writers()).named(writer), directions);
}

py::dict line(const std::string& writer, WriterKind kind, bool edited, const std::string& text) {
  py::dict d;
  d["writer"] = writer;
  d["kind"] = name_of(kind);
  d["edited"] = edited;
  d["what"] = text;
  return d;
}

// Every writer, in the order in which the edit knows them: what happens, or why nothing does.
py::list describe(const Edit& edit) {
  py::list list;
  for (const Part& part : edit.parts()) {
    py::dict d = line(part.writer, part.key.kind, true, Edit::action(part));
    d["weight"] = part.weight.name;
    d["bias"] = part.bias.name;
    list.append(d);
  }
  for (const Untouched& writer : edit.untouched()) {
    py::dict d = line(writer.writer, writer.kind, false, writer.reason);
    d["weight"] = "";
    d["bias"] = "";
    list.append(d);
  }
  return list;
}

std::map<std::string, FactorTensors> factors(const Edit& edit) {
  std::map<std::string, FactorTensors> all;
  OnceEach copies;
  for (const Part& part : edit.parts()) {
    FactorTensors& own = all[part.writer];
    for (const FactorSlot& slot : kFactorSlots) {
      const at::Tensor& tensor = part.factors.*slot.tensor;
      if (tensor.defined()) own[slot.name] = copies(tensor, [&] { return tensor.clone(); });
    }
  }
  return all;
}

std::map<std::string, std::string> bases(const Edit& edit) {
  std::map<std::string, std::string> hashes;
  for (const Part& part : edit.parts()) {
    for (const Base* base : {&part.weight, &part.bias}) {
      if (!base->sha256.empty()) hashes[base->name] = base->sha256;
    }
  }
  return hashes;
}

}  // namespace

void bind_edits(py::module_& m) {
  const auto free = py::call_guard<py::gil_scoped_release>();
  py::class_<Edit, std::shared_ptr<Edit>>(m, "Edit", "A change of weights as a value.")
      .def_static("load", &Edit::load, py::arg("path"), free)
      .def("save", &Edit::save, py::arg("path"), free)
      .def_property_readonly("id", &Edit::id, "SHA-256 over writers and factors.")
      .def_property_readonly("rows", &Edit::rows, "Rows with edits of their own; 0: one edit.")
      .def_property_readonly("provenance", [](const Edit& e) { return e.provenance().dump(); })
      .def_property_readonly("bases", &bases, "SHA-256 of the tensors it was made for, by name.")
      .def(
          "row", [](const Edit& e, int64_t i) { return std::make_shared<Edit>(e.row(i)); },
          py::arg("index"))
      .def(
          "take",
          [](const Edit& e, const std::vector<int64_t>& rows) {
            return std::make_shared<Edit>(e.take(rows));
          },
          py::arg("rows"))
      .def("describe", &describe)
      .def("factors", &factors,
           "Copies of the factors by writer and name; what writers share is copied once.")
      .def(
          "apply", [](const Edit& e, Model& model) { apply(model, e); }, py::arg("model"), free)
      .def(
          "revert", [](const Edit& e, Model& model) { revert(model, e); }, py::arg("model"), free)
      .def(
          "is_applied", [](const Edit& e, const Model& model) { return is_applied(model, e); },
          py::arg("model"));
  m.def("make_edit", &edit_of, py::arg("model"), py::arg("factors"), py::arg("provenance"),
        py::arg("reasons") = std::map<std::string, std::string>(), free,
        "An edit from factors by writer and name.");
  m.def("before_norm", &before_norm_of, py::arg("model"), py::arg("writer"), py::arg("directions"),
        "What a writer must not write so that nothing is added along directions [..., d_model].");
  m.def(
      "try_edit", [](PyTaps& taps, const Edit& edit) { try_edit(taps.taps, taps.spec, edit); },
      py::arg("taps"), py::arg("edit"), "Makes runs behave as if the edit were in the weights.");
}

}  // namespace lenswright
