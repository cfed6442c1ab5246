// StarCoder2: Llama's names around an MLP without gate, LayerNorms and biases.
// Names and defaults: transformers, models/starcoder2/configuration_starcoder2.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/rope.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "starcoder2";
  read_sizes(spec, config);
  spec.n_kv_heads = config.size("num_key_value_heads", 2);
  spec.norm = {NormKind::layer, config.number("norm_epsilon", 1e-5)};
  spec.ropes = {read_rope(config, spec.d_head, spec.n_ctx, {})};
  spec.activation = activation_from_name(config.text("hidden_act", "gelu_pytorch_tanh"));
  spec.gated = false;
  spec.same_layers(usual_scale(spec));
  if (config.has("sliding_window")) {
    for (LayerSpec& layer : spec.layers) layer.window = config.size("sliding_window");
  }
  spec.tied = config.flag("tie_word_embeddings", true);
  expect_text(config, "mlp_type", "default", "gated MLPs are not known in this family");
  expect_text(config, "norm_type", "layer_norm", "no other norm is known in this family");
  harmless_in_training(config);
  config.harmless({"use_bias"});  // follows from the tensors
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
    rows.linear(to + "mlp.", "in", from + "mlp.c_fc", s.d_mlp, d);
    rows.linear(to + "mlp.", "out", from + "mlp.c_proj", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "model.norm", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> starcoder2_families() {
  return {{"Starcoder2ForCausalLM",
           "starcoder2",
           read,
           {rows},
           {},
           {"model.layers.*.self_attn.rotary_emb.inv_freq"}}};
}

}  // namespace lenswright
