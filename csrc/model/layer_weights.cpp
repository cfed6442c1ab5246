#include "model/layer_weights.h"

namespace lenswright {
namespace {

using Weights = std::map<std::string, Weight>;

MlpWeights mlp_of(const Weights& weights, const std::string& at, const Spec& spec) {
  std::vector<Linear> in = {linear_of(weights, at, "in")};
  if (spec.gated) in.push_back(linear_of(weights, at, "gate"));
  return {Projections(std::move(in)),
          linear_of(weights, at, "out"),
          weight_or_none(weights, at + "alpha_p"),
          weight_or_none(weights, at + "alpha_n"),
          weight_or_none(weights, at + "beta"),
          weight_or_none(weights, at + "eps")};
}

MixtureWeights mixture_of(const Weights& weights, const std::string& at, const Spec& spec) {
  MixtureWeights w;
  w.router = linear_of(weights, at, "router");
  w.correction = weight_or_none(weights, at + "router_correction");
  for (int64_t i = 0; i < spec.mixture.routing.experts; ++i) {
    w.experts.push_back(mlp_of(weights, at + "experts." + std::to_string(i) + ".", spec));
  }
  if (spec.mixture.d_shared > 0) w.shared = mlp_of(weights, at + "shared.", spec);
  w.shared_gate = linear_of(weights, at, "shared_gate");
  return w;
}

// One norm for all heads, or one for each: "q_norm.w" or "q_norm.0.w" ...
HeadNorms head_norms(const Weights& weights, const std::string& name, int64_t heads) {
  if (!weights.contains(name + ".0.w")) return {norm_of(weights, name)};
  HeadNorms norms;
  for (int64_t i = 0; i < heads; ++i) {
    norms.push_back(norm_of(weights, name + "." + std::to_string(i)));
  }
  return norms;
}

AttentionWeights attention_of(const Weights& weights, const std::string& at, const Spec& spec) {
  AttentionWeights w;
  const Linear q = linear_of(weights, at, "Q"), k = linear_of(weights, at, "K"),
               v = linear_of(weights, at, "V");
  if (spec.latent.kv_rank > 0) {
    w.qkv = Projections({q});
    w.latent = {linear_of(weights, at, "DQ"), linear_of(weights, at, "DKV"),
                norm_of(weights, at + "q_latent_norm"), norm_of(weights, at + "kv_latent_norm"),
                Projections({k, v})};
  } else {
    w.qkv = Projections({q, k, v});
  }
  w.q_norm = head_norms(weights, at + "q_norm", spec.n_heads);
  w.k_norm = head_norms(weights, at + "k_norm", spec.n_kv_heads);
  w.sinks = weight_or_none(weights, at + "sinks");
  w.out = linear_of(weights, at, "O");
  return w;
}

}  // namespace

Weight weight_or_none(const Weights& weights, const std::string& name) {
  const auto found = weights.find(name);
  return found == weights.end() ? Weight() : found->second;
}

Linear linear_of(const Weights& weights, const std::string& prefix, const std::string& part) {
  return {weight_or_none(weights, prefix + "W_" + part),
          weight_or_none(weights, prefix + "b_" + part)};
}

NormWeights norm_of(const Weights& weights, const std::string& name) {
  return {weight_or_none(weights, name + ".w"), weight_or_none(weights, name + ".b")};
}

LayerWeights layer_weights(const Weights& weights, const Spec& spec, int64_t layer) {
  const std::string at = "blocks." + std::to_string(layer) + ".";
  LayerWeights w;
  w.ln1 = norm_of(weights, at + "ln1");
  w.ln1_post = norm_of(weights, at + "ln1_post");
  w.ln2 = norm_of(weights, at + "ln2");
  w.ln2_post = norm_of(weights, at + "ln2_post");
  w.attention = attention_of(weights, at + "attn.", spec);
  if (spec.layers[static_cast<size_t>(layer)].mixture) {
    w.mixture = mixture_of(weights, at + "mlp.", spec);
  } else {
    w.mlp = mlp_of(weights, at + "mlp.", spec);
  }
  return w;
}

}  // namespace lenswright
