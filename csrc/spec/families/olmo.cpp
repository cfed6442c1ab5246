// OLMo, the first: Llama with LayerNorms that have neither gain nor bias.
// Names and defaults: transformers, models/olmo/configuration_olmo.py.
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/rope.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "olmo";
  read_sizes(spec, config);
  spec.n_kv_heads = config.size("num_key_value_heads", spec.n_heads);
  spec.norm = {NormKind::layer, 1e-5};
  spec.ropes = {read_rope(config, spec.d_head, spec.n_ctx, {})};
  if (config.has("clip_qkv")) {
    spec.qkv_limit = config.number("clip_qkv", 0.0);
    if (!(spec.qkv_limit > 0.0)) {
      throw std::invalid_argument("config.json: 'clip_qkv' is " + config.object("clip_qkv").dump() +
                                  ", expected a positive bound or null");
    }
  }
  spec.activation = activation_from_name(config.text("hidden_act", "silu"));
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", false);
  harmless_in_training(config);
  config.harmless({"attention_bias"});  // follows from the tensors
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model;
  rows.matrix("embed.W_E", "model.embed_tokens.weight", s.d_vocab, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer);
    const std::string from = "model.layers." + std::to_string(layer) + ".";
    self_attention(rows, to, from, s);
    rows.matrix(to + "mlp.W_gate", from + "mlp.gate_proj.weight", s.d_mlp, d);
    rows.matrix(to + "mlp.W_in", from + "mlp.up_proj.weight", s.d_mlp, d);
    rows.matrix(to + "mlp.W_out", from + "mlp.down_proj.weight", d, s.d_mlp);
  }
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> olmo_families() { return {{"OlmoForCausalLM", "olmo", read, {rows}}}; }

}  // namespace lenswright
