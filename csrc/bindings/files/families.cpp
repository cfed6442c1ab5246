#include "spec/decoder.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/glob.h"
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

using Shapes = std::map<std::string, std::vector<int64_t>>;

std::string told(const std::vector<int64_t>& shape) {
  return std::string(py::str(py::cast(shape)));
}

// Tensors of plain numbers, of which their names and shapes are known.
Catalog catalog_of_shapes(const Shapes& shapes) {
  return {[&](const std::string& name) { return shapes.contains(name); },
          [&](const std::string& name) { return shapes.at(name); },
          [](const std::string&, const std::string&) { return true; },
          [](const std::string&) { return Dtype::f32; },
          [&] {
            std::vector<std::string> names;
            for (const auto& [name, shape] : shapes) names.push_back(name);
            return names;
          }};
}

void check_row(const Row& row, const Shapes& shapes, const std::string& family) {
  const std::string tensor = "tensor '" + row.source + "'";
  const auto found = shapes.find(row.source);
  if (found == shapes.end()) {
    throw std::invalid_argument(tensor + " is missing, but config.json of family " + family +
                                " asks for it");
  }
  if (found->second == row.stored_shape()) return;
  throw std::invalid_argument(tensor + " is " + told(found->second) + ", config.json asks for " +
                              told(row.stored_shape()));
}

py::tuple row_tuple(const Row& row) {
  return py::make_tuple(row.canonical, row.source, row.layout == Layout::in_out, row.outputs,
                        row.inputs, row.start, row.in_runs() ? row.run : 0, row.distance,
                        row.experts > 0 ? row.expert : -1);
}

// Tensors of what else is in the checkpoint and takes part in its layers or in more of them; throws
// where one is nobody's.
std::vector<std::string> others(const Decoder& decoder, const Shapes& shapes) {
  std::set<std::string> known;
  for (const Row& row : decoder.rows) known.insert(row.source);
  const bool tower = !decoder.family->text_type.empty();
  std::vector<std::string> out;
  for (const auto& [name, shape] : shapes) {
    if (known.contains(name)) continue;
    if (!beyond_decoder(*decoder.family, decoder.spec, name)) {
      throw std::invalid_argument("tensor '" + name + "' is none that family " +
                                  decoder.spec.family + " accounts for");
    }
    const bool unread = std::ranges::any_of(
        decoder.spec.unread, [&](const std::string& glob) { return Glob(glob).matches(name); });
    if (unread || (tower && !name.ends_with("inv_freq"))) out.push_back(name);
  }
  return out;
}

py::dict decoder_rows(const std::string& config, const Shapes& shapes) {
  Decoder decoder = decoder_of(Json::parse(config, "config.json"), catalog_of_shapes(shapes));
  const Spec& spec = decoder.spec;
  // A tied model's head may be there all the same.
  if (spec.tied && shapes.contains(decoder.head.source)) decoder.rows.push_back(decoder.head);
  py::list rows;
  for (const Row& row : decoder.rows) {
    check_row(row, shapes, spec.family);
    rows.append(row_tuple(row));
  }
  py::dict out;
  out["rows"] = rows;
  out["family"] = spec.family;
  out["position"] = name_of(spec.position);
  out["n_layers"] = spec.n_layers;
  out["d_model"] = spec.d_model;
  out["n_heads"] = spec.n_heads;
  out["n_kv_heads"] = spec.n_kv_heads;
  out["flat_head_norms"] = spec.qk_norm == QkNorm::flat;
  out["q_rank"] = spec.latent.q_rank;
  out["kv_rank"] = spec.latent.kv_rank;
  out["d_embed"] = spec.d_embed;
  out["experts"] = spec.mixture.routing.experts;
  out["expert_groups"] = spec.mixture.routing.groups;
  out["others"] = others(decoder, shapes);
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
  m.def(
      "decoder_rows", &decoder_rows, py::arg("config"), py::arg("shapes"),
      "Where the weights of a decoder lie in plain tensors {name: shape}: {rows: [(canonical, "
      "source, whether it lies [inputs, outputs], outputs, inputs, start, run, distance, expert "
      "or -1)], others: tensors of towers and of layers that are not run}, and the sizes that say "
      "what axes the weights have; "
      "ValueError where a tensor is missing, unknown or of another shape.");
  m.def("missing_tensors", &missing_tensors, py::arg("checkpoint"),
        "Tensors that the family needs and this checkpoint lacks.");
  m.def("quantised_tensors", &quantised, py::arg("checkpoint"),
        "{name: (form, its codes' name, its scales', its shape)} of what is stored quantised; "
        "ValueError where it is not as it should be.");
}

}  // namespace lenswright
