#include "model/model.h"

#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include <algorithm>

#include "bindings/core/bindings.h"
#include "bindings/core/spec.h"
#include "bindings/core/taps.h"

namespace py = pybind11;

namespace lenswright {
namespace {

py::list point_list(const Model& model, bool expanded) {
  py::list list;
  for (Point point : points(model.spec(), expanded)) {
    list.append(py::make_tuple(name_of(point), py::tuple(py::cast(shape_of(point, model.spec())))));
  }
  return list;
}

py::dict writer_dict(const WriterSite& w) {
  py::dict d;
  d["name"] = w.name;
  d["kind"] = name_of(w.kind);
  d["layer"] = w.output.layer;
  d["point"] = name_of(w.output);
  d["weight"] = w.weight;
  d["bias"] = w.bias;
  d["residual_axis"] = w.residual_axis;
  d["expert"] = w.expert;
  d["slice"] = w.slice;
  d["norm"] = w.norm;
  return d;
}

py::list writer_list(const Model& model) {
  py::list list;
  for (const WriterSite& writer : model.writers()) list.append(writer_dict(writer));
  return list;
}

Wanted wanted_of(const std::string& logits, int start_at_layer, std::optional<int> stop_at_layer) {
  Wanted wanted{Logits::all, start_at_layer, stop_at_layer};
  if (logits == "none") wanted.logits = Logits::none;
  if (logits == "last") wanted.logits = Logits::last;
  TORCH_CHECK_VALUE(logits == "none" || logits == "last" || logits == "all", "logits is '", logits,
                    "', expected 'all', 'last' or 'none'");
  return wanted;
}

std::map<std::string, at::Tensor> stored_values(const Model& model) {
  std::map<std::string, at::Tensor> values;
  for (const auto& [name, stored] : model.stored()) {
    if (!stored->is_quantised()) {
      values[name] = stored->value;
      continue;
    }
    const QuantisedTensor& names = model.quantised().by_name.at(name);
    values[names.codes] = stored->quantised->codes;
    values[names.scales] = stored->quantised->scales;
  }
  return values;
}

std::map<std::string, at::Tensor> weight_views(const Model& model) {
  std::map<std::string, at::Tensor> views;
  for (const Row& row : model.rows()) views[row.canonical] = model.weight(row.canonical).view();
  return views;
}

// {name: (form, its codes' name, its scales' name)} of what is quantised and read.
py::dict quantised_names(const Model& model) {
  py::dict names;
  for (const auto& [name, stored] : model.stored()) {
    if (!stored->quantised) continue;
    const QuantisedTensor& own = model.quantised().by_name.at(name);
    names[py::str(name)] = py::make_tuple(name_of(own.form), own.codes, own.scales);
  }
  return names;
}

int64_t size_of(const Model& model) {
  int64_t size = 0;
  for (const auto& [name, stored] : model.stored()) size += stored->numel();
  return size;
}

bool has_weight(const Model& model, const std::string& name) {
  const auto named = [&](const Row& row) { return row.canonical == name; };
  return std::ranges::any_of(model.rows(), named);
}

Batch batch_of(at::Tensor tokens, std::vector<int64_t> lengths, Side side,
               const std::vector<std::pair<int64_t, int64_t>>& forks) {
  if (forks.empty()) return Batch(std::move(tokens), std::move(lengths), side);
  std::vector<Fork> stretches;
  for (const auto& [after, length] : forks) stretches.push_back({after, length});
  return Batch(std::move(tokens), stretches);
}

py::tuple run(const Model& model, PyTaps& taps, at::Tensor tokens, std::vector<int64_t> lengths,
              const std::string& side, const std::string& logits, int start_at_layer,
              std::optional<int> stop_at_layer, std::optional<at::Tensor> residual,
              const std::vector<std::pair<int64_t, int64_t>>& forks,
              std::optional<at::Tensor> places) {
  Wanted wanted = wanted_of(logits, start_at_layer, stop_at_layer);
  wanted.places = places.value_or(at::Tensor());
  ModelOutput output;
  taps.captured.clear();
  {
    py::gil_scoped_release release;
    Batch batch = batch_of(std::move(tokens), std::move(lengths), side_of(side), forks);
    output = model.run({std::move(batch), residual.value_or(at::Tensor()), nullptr, {}}, taps.taps,
                       wanted);
  }
  const auto optional = [](const at::Tensor& t) { return t.defined() ? py::cast(t) : py::none(); };
  return py::make_tuple(optional(output.logits), optional(output.residual));
}

}  // namespace

void bind_model(py::module_& m) {
  py::class_<Model, std::shared_ptr<Model>>(m, "Model", "A spec, weights, a device and a type.")
      .def_static(
          "load",
          [](std::shared_ptr<Checkpoint> checkpoint, std::string device, std::string dtype,
             bool strict) {
            py::gil_scoped_release release;
            return Model::load(std::move(checkpoint),
                               {std::move(device), std::move(dtype), strict});
          },
          py::arg("checkpoint"), py::arg("device") = "cpu", py::arg("dtype") = "auto",
          py::arg("strict") = false)
      .def_static(
          "share",
          [](const std::string& config, std::map<std::string, at::Tensor> tensors,
             std::string device, std::string dtype) {
            py::gil_scoped_release release;
            return Model::share(Json::parse(config, "config"), std::move(tensors),
                                {std::move(device), std::move(dtype), false});
          },
          py::arg("config"), py::arg("tensors"), py::arg("device") = "cpu",
          py::arg("dtype") = "auto", "A model of tensors somebody holds, by name; config is JSON.")
      .def("run", &run, py::arg("taps"), py::arg("tokens"),
           py::arg("lengths") = std::vector<int64_t>{}, py::arg("side") = "right",
           py::arg("logits") = "all", py::arg("start_at_layer") = 0,
           py::arg("stop_at_layer") = py::none(), py::arg("residual") = py::none(),
           py::arg("forks") = std::vector<std::pair<int64_t, int64_t>>{},
           py::arg("places") = py::none(),
           "The only forward: (logits or None, residual where it stopped). forks [(after, length)] "
           "are the stretches of rows that branch; places are those of which more is wanted than "
           "the last block's attention.")
      .def(
          "taps", [](const Model& model) { return std::make_unique<PyTaps>(model.spec()); },
          py::keep_alive<0, 1>(), "A new, empty set of taps for this model.")
      .def_property_readonly("spec", [](const Model& model) { return spec_dict(model.spec()); })
      .def("points", &point_list, py::arg("expanded") = false)
      .def("writers", &writer_list)
      .def_property_readonly("dtype", [](const Model& model) { return model.dtype(); })
      .def_property_readonly("device", [](const Model& model) { return model.device(); })
      .def_property_readonly("checkpoint", &Model::checkpoint)
      .def("stored", &stored_values,
           "The stored tensors by their names in the checkpoint; of quantised ones codes and "
           "scales, or what an applied edit made of them.")
      .def_property_readonly("size", &size_of, "How many numbers its weights are.")
      .def("quantised", &quantised_names,
           "Tensors that are stored quantised: {name: (form, its codes' name, its scales')}.")
      .def("has_weight", &has_weight, py::arg("name"))
      .def(
          "weight",
          [](const Model& model, const std::string& name, bool original) {
            const Weight& weight = model.weight(name);
            return original ? weight.original() : weight.view();
          },
          py::arg("name"), py::arg("original") = false,
          "One canonical weight as a view of what is stored, or widened to float32.")
      .def("weights", &weight_views,
           "Canonical weights as views of the stored tensors; quantised ones widened to float32.");
}

}  // namespace lenswright
