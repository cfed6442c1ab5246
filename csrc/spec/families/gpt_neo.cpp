// GPT-Neo: GPT-2 with layers that look back a few tokens only, and scores that are not scaled.
// Names and defaults: transformers, models/gpt_neo/configuration_gpt_neo.py.
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/families.h"

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
  Spec spec;
  spec.family = "gpt_neo";
  spec.n_layers = size_under(config, {"num_layers", "num_hidden_layers"}, 24);
  spec.d_model = config.size("hidden_size", 2048);
  spec.n_heads = size_under(config, {"num_heads", "num_attention_heads"}, 16);
  share_width(spec);
  spec.d_mlp = config.size("intermediate_size", 4 * spec.d_model);
  spec.d_vocab = config.size("vocab_size", 50257);
  spec.n_ctx = config.size("max_position_embeddings", 2048);
  spec.norm = {NormKind::layer, config.number("layer_norm_epsilon", 1e-5)};
  spec.position = PositionKind::learned;
  spec.activation = activation_from_name(config.text("activation_function", "gelu_new"));
  spec.gated = false;
  set_layers(spec, config);
  spec.tied = config.flag("tie_word_embeddings", true);
  harmless_in_training(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model;
  rows.matrix("embed.W_E", "transformer.wte.weight", s.d_vocab, d);
  rows.matrix("pos_embed.W_pos", "transformer.wpe.weight", s.n_ctx, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer);
    const std::string from = "transformer.h." + std::to_string(layer) + ".";
    biased_norm(rows, to + "ln1", from + "ln_1", d);
    rows.matrix(to + "attn.W_Q", from + "attn.attention.q_proj.weight", d, d);
    rows.matrix(to + "attn.W_K", from + "attn.attention.k_proj.weight", d, d);
    rows.matrix(to + "attn.W_V", from + "attn.attention.v_proj.weight", d, d);
    biased_linear(rows, to + "attn.", "O", from + "attn.attention.out_proj", d, d);
    biased_norm(rows, to + "ln2", from + "ln_2", d);
    biased_linear(rows, to + "mlp.", "in", from + "mlp.c_fc", s.d_mlp, d);
    biased_linear(rows, to + "mlp.", "out", from + "mlp.c_proj", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "transformer.ln_f", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
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
