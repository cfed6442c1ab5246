#include "bindings/core/spec.h"

#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

namespace py = pybind11;

namespace lenswright {
namespace {

// A dict for each of some values.
template <typename T>
py::list listed(const std::vector<T>& values, py::dict (*dict_of)(const T&)) {
  py::list list;
  for (const T& value : values) list.append(dict_of(value));
  return list;
}

py::dict rope_dict(const Rope& rope) {
  py::dict d;
  d["theta"] = rope.theta;
  d["dim"] = rope.dim;
  d["start"] = rope.start;
  d["layout"] = name_of(rope.layout);
  d["scaling"] = name_of(rope.scaling);
  d["factor"] = rope.factor;
  d["attention_factor"] = rope.attention_factor;
  return d;
}

py::dict layer_dict(const LayerSpec& layer) {
  py::dict d;
  d["score_scale"] = layer.score_scale;
  d["window"] = layer.window;
  d["chunk"] = layer.chunk;
  d["rope"] = layer.rope;
  d["mixture"] = layer.mixture;
  return d;
}

py::object mixture_dict(const Spec& s) {
  const Routing& r = s.mixture.routing;
  if (r.experts == 0) return py::none();
  py::dict d;
  d["experts"] = r.experts;
  d["chosen"] = r.chosen;
  d["router"] = name_of(r.router);
  d["groups"] = r.groups;
  d["chosen_groups"] = r.chosen_groups;
  d["renormalise"] = r.renormalise;
  d["scale"] = r.scale;
  d["d_mlp"] = s.mixture.d_mlp;
  d["d_shared"] = s.mixture.d_shared;
  return d;
}

}  // namespace

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
  d["d_value"] = s.d_value;
  d["norm"] = name_of(s.norm.kind);
  d["norm_eps"] = s.norm.eps;
  d["norm_offset"] = s.norm.offset;
  d["norms"] = name_of(s.norms);
  d["parallel"] = s.parallel;
  d["shared_norm"] = s.shared_norm;
  d["residual_scale"] = s.residual_scale;
  d["embed_scale"] = s.embed_scale;
  d["position"] = name_of(s.position);
  d["ropes"] = listed(s.ropes, rope_dict);
  d["qk_norm"] = name_of(s.qk_norm);
  d["score_softcap"] = s.score_softcap;
  d["sinks"] = s.sinks;
  d["q_rank"] = s.latent.q_rank;
  d["kv_rank"] = s.latent.kv_rank;
  d["activation"] = name_of(s.activation);
  d["gated"] = s.gated;
  d["mixture"] = mixture_dict(s);
  d["layers"] = listed(s.layers, layer_dict);
  d["logit_scale"] = s.logit_scale;
  d["logit_softcap"] = s.logit_softcap;
  d["tied"] = s.tied;
  d["unknown_keys"] = s.unknown_keys;
  return d;
}

}  // namespace lenswright
