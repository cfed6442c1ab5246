// GPT-Neo: GPT-2 with layers that look back a few tokens only, and scores that are not scaled.
// Names and defaults: transformers, models/gpt_neo/configuration_gpt_neo.py.
#include <stdexcept>

#include "spec/families/families.h"
#include "spec/families/gpt2_like.h"

namespace lenswright {
namespace {

// attention_layers has a kind for each layer; attention_types has [[kinds, times], ...].
std::vector<std::string> kinds_of(ConfigReader& config) {
  std::vector<std::string> kinds;
  const Json types = config.object("attention_types"), layers = config.object("attention_layers");
  if (!layers.is_null()) {
    for (const Json& kind : layers.elements()) kinds.push_back(kind.as_string());
    return kinds;
  }
  if (types.is_null()) throw std::invalid_argument("config.json: 'attention_types' is missing");
  for (const Json& group : types.elements()) {
    for (int64_t i = 0; i < group.at(1).as_int(); ++i) {
      for (const Json& kind : group.at(size_t{0}).elements()) kinds.push_back(kind.as_string());
    }
  }
  return kinds;
}

void set_layers(Spec& spec, ConfigReader& config) {
  const std::vector<std::string> kinds = kinds_of(config);
  const int64_t window = config.size("window_size", 256);
  if (static_cast<int64_t>(kinds.size()) != spec.n_layers) {
    throw std::invalid_argument("config.json: 'attention_layers' (or 'attention_types') is for " +
                                std::to_string(kinds.size()) + " layers, expected " +
                                std::to_string(spec.n_layers));
  }
  spec.same_layers(1.0);
  for (size_t layer = 0; layer < kinds.size(); ++layer) {
    if (kinds[layer] == "local") {
      spec.layers[layer].window = window;
    } else if (kinds[layer] != "global") {
      throw std::invalid_argument("config.json: 'attention_layers' has '" + kinds[layer] +
                                  "', expected global or local");
    }
  }
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_gpt2_like(config, {.family = "gpt_neo",
                                      .layers_keys = {"num_layers", "num_hidden_layers"},
                                      .width_keys = {"hidden_size"},
                                      .heads_keys = {"num_heads", "num_attention_heads"},
                                      .mlp_keys = {"intermediate_size"},
                                      .context_keys = {"max_position_embeddings"},
                                      .n_layers = 24,
                                      .d_model = 2048,
                                      .n_heads = 16,
                                      .n_ctx = 2048});
  set_layers(spec, config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

void projections(Rows& rows, const std::string& to, const std::string& from, const Spec& s) {
  const int64_t d = s.d_model;
  rows.matrix(to + "W_Q", from + "attention.q_proj.weight", d, d);
  rows.matrix(to + "W_K", from + "attention.k_proj.weight", d, d);
  rows.matrix(to + "W_V", from + "attention.v_proj.weight", d, d);
}

std::vector<Row> rows(const Spec& spec) {
  return gpt2_like_rows(spec, projections, "attention.out_proj");
}

}  // namespace

std::vector<Family> gpt_neo_families() {
  // Files of transformers 4 keep the causal masks as tensors.
  return {{"GPTNeoForCausalLM",
           "gpt_neo",
           read,
           {rows},
           {{{"transformer.", ""}}},
           {"*h.*.attn.attention.bias", "*h.*.attn.attention.masked_bias"}}};
}

}  // namespace lenswright
