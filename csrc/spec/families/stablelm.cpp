// StableLM 3B, 2 and Zephyr: Llama with LayerNorms and heads that rotate in part; some sizes norm
// each head of queries and keys with gains of its own.
// Names and defaults: transformers, models/stablelm/configuration_stablelm.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/rope.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "stablelm";
  read_sizes(spec, config);
  spec.n_kv_heads = config.size("num_key_value_heads", 32);
  spec.norm = {NormKind::layer, config.number("layer_norm_eps", 1e-5)};
  spec.parallel = spec.shared_norm = config.flag("use_parallel_residual", false);
  spec.ropes = {read_rope(config, spec.d_head, spec.n_ctx, {10000.0, 0.25, true})};
  if (config.flag("qk_layernorm", false)) spec.qk_norm = QkNorm::head;
  spec.qk_norms = {NormKind::layer, spec.norm.eps, 0.0, /*wide_gain=*/true};
  spec.activation = activation_from_name(config.text("hidden_act", "silu"));
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", false);
  harmless_in_training(config);
  config.harmless({"use_qkv_bias"});  // follows from the tensors
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

void head_norms(Rows& rows, const std::string& to, const std::string& from, int64_t heads,
                int64_t size) {
  for (int64_t head = 0; head < heads; ++head) {
    const std::string which = std::to_string(head);
    rows.vector(to + "." + which + ".w", from + ".norms." + which + ".weight", size);
  }
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
    if (s.qk_norm != QkNorm::none) {
      head_norms(rows, to + "attn.q_norm", from + "self_attn.q_layernorm", s.n_heads, s.d_head);
      head_norms(rows, to + "attn.k_norm", from + "self_attn.k_layernorm", s.n_kv_heads, s.d_head);
    }
    if (!s.parallel) biased_norm(rows, to + "ln2", from + "post_attention_layernorm", d);
    rows.matrix(to + "mlp.W_gate", from + "mlp.gate_proj.weight", s.d_mlp, d);
    rows.matrix(to + "mlp.W_in", from + "mlp.up_proj.weight", s.d_mlp, d);
    rows.matrix(to + "mlp.W_out", from + "mlp.down_proj.weight", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "model.norm", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> stablelm_families() {
  return {{"StableLmForCausalLM",
           "stablelm",
           read,
           {rows},
           {},
           {"model.layers.*.self_attn.rotary_emb.inv_freq"}}};
}

}  // namespace lenswright
