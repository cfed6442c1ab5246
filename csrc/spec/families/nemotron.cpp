// Nemotron-4 and Minitron: Llama's names around squared ReLUs, and LayerNorms whose gains are
// stored less one.
// Names and defaults: transformers, models/nemotron/configuration_nemotron.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/rope.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "nemotron";
  read_sizes(spec, config);
  spec.n_kv_heads = config.size("num_key_value_heads");
  spec.d_head = config.size("head_dim", spec.d_head);
  const double eps = config.number("norm_eps", 1e-5);
  spec.norm = {NormKind::layer, eps, /*offset=*/1.0, /*wide_gain=*/true};
  spec.ropes = {read_rope(config, spec.d_head, spec.n_ctx, {10000.0, 0.5, true})};
  spec.activation = activation_from_name(config.text("hidden_act", "relu2"));
  spec.gated = false;
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", false);
  harmless_in_training(config);
  config.harmless({"attention_bias", "mlp_bias"});  // follow from the tensors
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
    biased_norm(rows, to + "ln1", from + "input_layernorm", d);
    self_attention(rows, to, from, s);
    biased_norm(rows, to + "ln2", from + "post_attention_layernorm", d);
    rows.linear(to + "mlp.", "in", from + "mlp.up_proj", s.d_mlp, d);
    rows.linear(to + "mlp.", "out", from + "mlp.down_proj", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "model.norm", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> nemotron_families() {
  return {{"NemotronForCausalLM",
           "nemotron",
           read,
           {rows},
           {},
           {"model.layers.*.self_attn.rotary_emb.inv_freq"}}};
}

}  // namespace lenswright
