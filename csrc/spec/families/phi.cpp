// Phi-1, Phi-1.5 and Phi-2: attention and MLP read one norm, heads rotate in part.
// Names and defaults: transformers, models/phi/configuration_phi.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/rope.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "phi";
  read_sizes(spec, config);
  spec.n_kv_heads = config.size("num_key_value_heads", spec.n_heads);
  spec.norm = {NormKind::layer, config.number("layer_norm_eps", 1e-5)};
  spec.parallel = spec.shared_norm = true;
  spec.ropes = {read_rope(config, spec.d_head, spec.n_ctx, {10000.0, 0.5, true})};
  if (config.flag("qk_layernorm", false)) spec.qk_norm = QkNorm::head;
  spec.qk_norms = spec.norm;
  spec.activation = activation_from_name(config.text("hidden_act", "gelu_new"));
  spec.gated = false;
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", false);
  harmless_in_training(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model, kv = s.n_kv_heads * s.d_head;
  rows.matrix("embed.W_E", "model.embed_tokens.weight", s.d_vocab, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer), at = to + "attn.";
    const std::string from = "model.layers." + std::to_string(layer) + ".";
    biased_norm(rows, to + "ln1", from + "input_layernorm", d);
    biased_linear(rows, at, "Q", from + "self_attn.q_proj", d, d);
    biased_linear(rows, at, "K", from + "self_attn.k_proj", kv, d);
    biased_linear(rows, at, "V", from + "self_attn.v_proj", kv, d);
    if (s.qk_norm != QkNorm::none) {
      biased_norm(rows, at + "q_norm", from + "self_attn.q_layernorm", s.d_head);
      biased_norm(rows, at + "k_norm", from + "self_attn.k_layernorm", s.d_head);
    }
    biased_linear(rows, at, "O", from + "self_attn.dense", d, d);
    biased_linear(rows, to + "mlp.", "in", from + "mlp.fc1", s.d_mlp, d);
    biased_linear(rows, to + "mlp.", "out", from + "mlp.fc2", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "model.final_layernorm", d);
  rows.vector("unembed.b_U", "lm_head.bias", s.d_vocab);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> phi_families() {
  return {{"PhiForCausalLM", "phi", read, {rows}, {}, kRotaryTables}};
}

}  // namespace lenswright
