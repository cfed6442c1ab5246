// Cohere's Command-R, and Command-R7B, whose full layers do not rotate: attention and MLP read one
// norm, pairs that rotate are neighbours, logits are scaled.
// Names and defaults: transformers, models/cohere/configuration_cohere.py and
// models/cohere2/configuration_cohere2.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"
#include "spec/families/rope.h"

namespace lenswright {
namespace {

// What both have, with the rotation's usual base.
Spec read(ConfigReader& config, double theta) {
  Spec spec;
  read_sizes(spec, config);
  expect_number(config, "head_dim", static_cast<double>(spec.d_head),
                "heads share the width in this family");
  spec.n_kv_heads = config.size("num_key_value_heads", spec.n_heads);
  const double eps = config.number("layer_norm_eps", 1e-5);
  spec.norm = {NormKind::layer, eps, 0.0, /*wide_gain=*/true};
  spec.parallel = spec.shared_norm = true;
  spec.ropes = {
      read_rope(config, spec.d_head, spec.n_ctx, {theta, 1.0, false, RopeLayout::adjacent})};
  spec.activation = activation_from_name(config.text("hidden_act", "silu"));
  spec.same_layers(usual_scale(spec));
  spec.logit_scale = config.number("logit_scale", 0.0625);
  spec.tied = config.flag("tie_word_embeddings", true);
  harmless_in_training(config);
  config.harmless({"attention_bias"});  // follows from the tensors
  return spec;
}

Spec read_cohere(const Json& json) {
  ConfigReader config(json);
  Spec spec = read(config, 500000.0);
  spec.family = "cohere";
  if (config.flag("use_qk_norm", false)) spec.qk_norm = QkNorm::head;
  spec.qk_norms = spec.norm;
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

// Layers with a window rotate; full ones have neither.
void set_layers(Spec& spec, ConfigReader& config) {
  const int64_t every = config.size("sliding_window_pattern", 4);
  expect_number(config, "layer_switch", static_cast<double>(every),
                "sliding_window_pattern or layer_types say which layers are full");
  const std::vector<bool> sliding =
      sliding_layers(config, spec, [every](int64_t layer) { return (layer + 1) % every != 0; });
  set_windows(spec, sliding, read_window(config, 4096));
  for (size_t layer = 0; layer < sliding.size(); ++layer) {
    spec.layers[layer].rope = sliding[layer] ? 0 : -1;
  }
}

Spec read_cohere2(const Json& json) {
  ConfigReader config(json);
  Spec spec = read(config, 10000.0);
  spec.family = "cohere2";
  set_layers(spec, config);
  // Published configs carry keys of Cohere's own, which say what is so in all of them.
  const std::string why = "this family's models are not otherwise";
  expect_text(config, "position_embedding_type", "rope_gptj", why);
  expect_text(config, "order_of_interleaved_layers", "local_attn_first", why);
  expect_number(config, "rotary_pct", 1.0, why);
  for (const char* key : {"use_gated_activation", "use_parallel_block"}) {
    expect_flag(config, key, true, why);
  }
  config.harmless({"cache_implementation", "use_embedding_sharing", "use_parallel_embedding",
                   "_sliding_window_pattern"});
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
    rows.vector(to + "ln1.w", from + "input_layernorm.weight", d);
    self_attention(rows, to, from, s);
    if (s.qk_norm != QkNorm::none) {
      rows.matrix(to + "attn.q_norm.w", from + "self_attn.q_norm.weight", s.n_heads, s.d_head);
      rows.matrix(to + "attn.k_norm.w", from + "self_attn.k_norm.weight", s.n_kv_heads, s.d_head);
    }
    rows.matrix(to + "mlp.W_gate", from + "mlp.gate_proj.weight", s.d_mlp, d);
    rows.matrix(to + "mlp.W_in", from + "mlp.up_proj.weight", s.d_mlp, d);
    rows.matrix(to + "mlp.W_out", from + "mlp.down_proj.weight", d, s.d_mlp);
  }
  rows.vector("ln_final.w", "model.norm.weight", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> cohere_families() {
  const std::vector<std::string> ignored = {"model.layers.*.self_attn.rotary_emb.inv_freq"};
  return {{"CohereForCausalLM", "cohere", read_cohere, {rows}, {}, ignored},
          {"Cohere2ForCausalLM", "cohere2", read_cohere2, {rows}, {}, ignored}};
}

}  // namespace lenswright
