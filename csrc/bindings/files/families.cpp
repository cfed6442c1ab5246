#include "spec/decoder.h"

#include <pybind11/stl.h>

#include "bindings/files/bindings.h"
#include "io/checkpoint.h"

namespace py = pybind11;

namespace lenswright {
namespace {

py::dict read_spec(const std::string& config) {
  const Json json = Json::parse(config, "config.json");
  const Family& family = family_of(json);
  const Spec spec = spec_of(family, json);
  py::dict out;
  out["family"] = family.architecture;
  out["n_layers"] = spec.n_layers;
  out["d_model"] = spec.d_model;
  out["n_heads"] = spec.n_heads;
  out["n_kv_heads"] = spec.n_kv_heads;
  out["d_head"] = spec.d_head;
  out["d_mlp"] = spec.d_mlp;
  out["d_vocab"] = spec.d_vocab;
  out["n_ctx"] = spec.n_ctx;
  out["tied"] = spec.tied;
  out["unknown_keys"] = spec.unknown_keys;
  return out;
}

std::vector<std::string> missing_tensors(const Checkpoint& checkpoint) {
  std::vector<std::string> missing;
  const Decoder decoder = decoder_of(checkpoint);
  for (const Row& row : decoder.rows) {
    const bool there = checkpoint.contains(row.source) || decoder.quantised.find(row.source);
    if (!there) missing.push_back(row.source);
  }
  return missing;
}

// {name: (form, its codes' name, its scales', its shape)} of what is stored quantised.
py::dict quantised(const Checkpoint& checkpoint) {
  py::dict tensors;
  if (!checkpoint.has_config()) return tensors;
  for (const auto& [name, tensor] :
       quantised_tensors(checkpoint.config(), catalog_of(checkpoint)).by_name) {
    tensors[py::str(name)] =
        py::make_tuple(name_of(tensor.form), tensor.codes, tensor.scales, tensor.shape);
  }
  return tensors;
}

}  // namespace

void bind_families(py::module_& m) {
  m.def(
      "families",
      [] {
        std::vector<std::string> names;
        for (const Family& family : families()) {
          const bool again = !names.empty() && names.back() == family.architecture;
          if (!again) names.push_back(family.architecture);  // several decoders may stand in one
        }
        return names;
      },
      "The architectures that can be loaded, by config.json's name for them.");
  m.def(
      "read_spec", &read_spec, py::arg("config"),
      "The sizes that the text of a config.json gives; ValueError where loading would refuse it.");
  m.def("missing_tensors", &missing_tensors, py::arg("checkpoint"),
        "Tensors that the family needs and this checkpoint lacks.");
  m.def("quantised_tensors", &quantised, py::arg("checkpoint"),
        "{name: (form, its codes' name, its scales', its shape)} of what is stored quantised; "
        "ValueError where it is not as it should be.");
}

}  // namespace lenswright
