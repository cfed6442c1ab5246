// GPT-NeoX and Pythia: attention and MLP side by side, each with a norm of its own.
// Names and defaults: transformers, models/gpt_neox/configuration_gpt_neox.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/rope.h"

namespace lenswright {
namespace {

// Old configs say rotary_pct and rotary_emb_base, and may say the usual keys beside them.
Rope rotation(const Spec& spec, ConfigReader& config) {
  RopeDefaults defaults;
  defaults.may_be_partial = true;
  defaults.theta = config.number("rotary_emb_base", 10000.0);
  defaults.partial = config.number("rotary_pct", 0.25);
  const std::string why = "rotary_emb_base and rotary_pct say it in this family";
  expect_number(config, "rope_theta", defaults.theta, why);
  expect_number(config, "partial_rotary_factor", defaults.partial, why);
  return read_rope(config, spec.d_head, spec.n_ctx, defaults);
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "gpt_neox";
  read_sizes(spec, config);
  spec.norm = {NormKind::layer, config.number("layer_norm_eps", 1e-5)};
  spec.parallel = config.flag("use_parallel_residual", true);
  spec.ropes = {rotation(spec, config)};
  spec.activation = activation_from_name(config.text("hidden_act", "gelu"));
  spec.gated = false;
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", false);
  spec.biases = same_biases(config.flag("attention_bias", true));  // the MLP's are always there
  harmless_in_training(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows_with(const std::string& head, const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model, e = s.d_head;
  rows.matrix("embed.W_E", "gpt_neox.embed_in.weight", s.d_vocab, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer), at = to + "attn.";
    const std::string from = "gpt_neox.layers." + std::to_string(layer) + ".";
    const std::string fused = from + "attention.query_key_value";
    biased_norm(rows, to + "ln1", from + "input_layernorm", d);
    // Head after head, each with its query, key and value.
    rows.interleaved({at + "W_Q", at + "W_K", at + "W_V"}, fused + ".weight", {e, e, e}, s.n_heads,
                     d);
    if (s.biases.qkv) {
      rows.interleaved({at + "b_Q", at + "b_K", at + "b_V"}, fused + ".bias", {e, e, e}, s.n_heads,
                       0, Layout::out_in, /*optional=*/true);
    }
    linear(rows, at, "O", from + "attention.dense", d, d, s.biases.out);
    biased_norm(rows, to + "ln2", from + "post_attention_layernorm", d);
    biased_linear(rows, to + "mlp.", "in", from + "mlp.dense_h_to_4h", s.d_mlp, d);
    biased_linear(rows, to + "mlp.", "out", from + "mlp.dense_4h_to_h", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "gpt_neox.final_layer_norm", d);
  if (!s.tied) rows.matrix("unembed.W_U", head + ".weight", s.d_vocab, d);
  return rows.take();
}

std::vector<Row> rows(const Spec& s) { return rows_with("embed_out", s); }
std::vector<Row> rows_named_anew(const Spec& s) { return rows_with("lm_head", s); }

}  // namespace

std::vector<Family> gpt_neox_families() {
  // Files of transformers 4 keep masks and frequencies as tensors.
  return {{"GPTNeoXForCausalLM",
           "gpt_neox",
           read,
           {rows, rows_named_anew},
           {},
           {"gpt_neox.layers.*.attention.bias", "gpt_neox.layers.*.attention.masked_bias",
            "gpt_neox.layers.*.attention.rotary_emb.inv_freq"}}};
}

}  // namespace lenswright
