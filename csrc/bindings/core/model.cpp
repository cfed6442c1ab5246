#include "model/model.h"

#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "bindings/core/taps.h"

namespace py = pybind11;

namespace lenswright {
namespace {

py::dict spec_dict(const Spec& s) {
  py::dict d;
  d["family"] = s.family;
  d["n_layers"] = s.n_layers;
  d["d_model"] = s.d_model;
  d["n_heads"] = s.n_heads;
  d["n_kv_heads"] = s.n_kv_heads;
  d["d_head"] = s.d_head;
  d["d_mlp"] = s.d_mlp;
  d["d_vocab"] = s.d_vocab;
  d["n_ctx"] = s.n_ctx;
  d["norm"] = name_of(s.norm);
  d["norm_eps"] = s.norm_eps;
  d["position"] = name_of(s.position);
  d["rope_theta"] = s.rope.theta;
  d["rope_dim"] = s.rope.dim;
  d["rope_layout"] = name_of(s.rope.layout);
  d["activation"] = name_of(s.activation);
  d["gated"] = s.gated;
  d["score_scale"] = s.score_scale;
  d["tied"] = s.tied;
  d["unknown_keys"] = s.unknown_keys;
  return d;
}

py::list point_list(const Model& model, bool expanded) {
  py::list list;
  for (Point point : points(model.spec(), expanded)) {
    list.append(py::make_tuple(name_of(point), py::tuple(py::cast(shape_of(point, model.spec())))));
  }
  return list;
}

py::list writer_list(const Model& model) {
  py::list list;
  for (const WriterSite& w : model.writers()) {
    py::dict d;
    d["name"] = w.name;
    d["kind"] = name_of(w.kind);
    d["layer"] = w.output.layer;
    d["point"] = name_of(w.output);
    d["weight"] = w.weight;
    d["bias"] = w.bias;
    d["residual_axis"] = w.residual_axis;
    list.append(d);
  }
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
  for (const auto& [name, stored] : model.stored()) values[name] = stored->value;
  return values;
}

std::map<std::string, at::Tensor> weight_views(const Model& model) {
  std::map<std::string, at::Tensor> views;
  for (const Row& row : model.rows()) views[row.canonical] = model.weight(row.canonical).view();
  return views;
}

py::tuple run(const Model& model, PyTaps& taps, at::Tensor tokens, std::vector<int64_t> lengths,
              const std::string& side, const std::string& logits, int start_at_layer,
              std::optional<int> stop_at_layer, std::optional<at::Tensor> residual) {
  const Wanted wanted = wanted_of(logits, start_at_layer, stop_at_layer);
  Output output;
  taps.captured.clear();
  {
    py::gil_scoped_release release;
    Batch batch(std::move(tokens), std::move(lengths), side_of(side));
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
      .def("run", &run, py::arg("taps"), py::arg("tokens"),
           py::arg("lengths") = std::vector<int64_t>{}, py::arg("side") = "right",
           py::arg("logits") = "all", py::arg("start_at_layer") = 0,
           py::arg("stop_at_layer") = py::none(), py::arg("residual") = py::none(),
           "The only forward: (logits or None, residual where it stopped).")
      .def(
          "taps", [](const Model& model) { return std::make_unique<PyTaps>(model.spec()); },
          py::keep_alive<0, 1>(), "A new, empty set of taps for this model.")
      .def_property_readonly("spec", [](const Model& model) { return spec_dict(model.spec()); })
      .def("points", &point_list, py::arg("expanded") = false)
      .def("writers", &writer_list)
      .def_property_readonly("dtype", [](const Model& model) { return model.dtype(); })
      .def_property_readonly("device", [](const Model& model) { return model.device(); })
      .def_property_readonly("checkpoint", &Model::checkpoint)
      .def("stored", &stored_values, "The stored tensors by their names in the checkpoint.")
      .def("weights", &weight_views, "Canonical weights as views of the stored tensors.");
}

}  // namespace lenswright
