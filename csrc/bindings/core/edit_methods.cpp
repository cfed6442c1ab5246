#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "edits/methods/ablate.h"
#include "edits/methods/ablate_tensors.h"
#include "edits/methods/add.h"
#include "edits/methods/affine.h"
#include "edits/methods/list.h"

namespace py = pybind11;

namespace lenswright {
namespace {

using Given = std::pair<std::optional<at::Tensor>, std::map<int64_t, at::Tensor>>;

Vectors vectors_of(Given given) {
  return {given.first.value_or(at::Tensor()), std::move(given.second)};
}

Json provenance_of(const std::string& text) {
  const Json json = Json::parse(text, "provenance");
  return json.is_object() ? json : Json::object();
}

std::shared_ptr<Edit> ablate_given(const Model& model, const std::string& method, Given direction,
                                   Given read, Given against, double against_strength, bool rows,
                                   std::vector<std::string> writers, double strength,
                                   std::map<std::string, double> strengths,
                                   std::map<std::string, std::string> spared, double ridge,
                                   const std::string& provenance) {
  Directions directions{vectors_of(std::move(direction)), vectors_of(std::move(read)),
                        vectors_of(std::move(against)), against_strength, rows};
  return ablate(model, {method,
                        std::move(directions),
                        std::move(writers),
                        {strength, std::move(strengths), std::move(spared)},
                        ridge,
                        provenance_of(provenance)});
}

std::shared_ptr<Edit> ablate_tensors_given(const std::filesystem::path& checkpoint,
                                           at::Tensor direction, std::vector<std::string> tensors,
                                           double strength, int residual_axis,
                                           const std::string& provenance) {
  return ablate_tensors(checkpoint, {std::move(direction), std::move(tensors), strength,
                                     residual_axis, provenance_of(provenance)});
}

std::shared_ptr<Edit> add_given(const Model& model, std::map<int64_t, at::Tensor> layers, bool rows,
                                double strength, const std::string& provenance) {
  return add(model, {std::move(layers), rows, strength, provenance_of(provenance)});
}

std::shared_ptr<Edit> affine_given(const Model& model, at::Tensor direction,
                                   std::optional<at::Tensor> read, at::Tensor target,
                                   const std::string& provenance) {
  return affine(model, {std::move(direction), read.value_or(at::Tensor()), std::move(target),
                        provenance_of(provenance)});
}

}  // namespace

void bind_edit_methods(py::module_& m) {
  const auto free = py::call_guard<py::gil_scoped_release>();
  m.def("edit_methods", [] {
    std::vector<std::string> names;
    for (const AblationMethod& method : kMethods) names.emplace_back(method.name);
    return names;
  });
  m.def("ablate", &ablate_given, py::arg("model"), py::arg("method"), py::arg("direction"),
        py::arg("read"), py::arg("against"), py::arg("against_strength"), py::arg("rows"),
        py::arg("writers"), py::arg("strength"), py::arg("strengths"), py::arg("spared"),
        py::arg("ridge"), py::arg("provenance"), free,
        "Takes directions out of what is written; each is (one tensor or None, {layer: tensor}).");
  m.def("ablate_tensors", &ablate_tensors_given, py::arg("checkpoint"), py::arg("direction"),
        py::arg("tensors"), py::arg("strength"), py::arg("residual_axis"), py::arg("provenance"),
        free, "Takes a direction out of tensors of a checkpoint, by their names.");
  m.def("add", &add_given, py::arg("model"), py::arg("layers"), py::arg("rows"),
        py::arg("strength"), py::arg("provenance"), free,
        "Adds vectors to the residual before some layers.");
  m.def("affine", &affine_given, py::arg("model"), py::arg("direction"), py::arg("read"),
        py::arg("target"), py::arg("provenance"), free,
        "Removes directions and puts a target's components in their place.");
}

}  // namespace lenswright
