// GPT-2: learned positions, LayerNorm, fused Conv1D projections that lie as [in, out].
// Names and defaults: transformers, models/gpt2/configuration_gpt2.py.
#include <cmath>
#include <stdexcept>

#include "spec/config_reader.h"
#include "spec/families/families.h"

namespace lenswright {
namespace {

void set_score_scales(Spec& spec, ConfigReader& config) {
  const bool by_width = config.flag("scale_attn_weights", true);
  const bool by_layer = config.flag("scale_attn_by_inverse_layer_idx", false);
  spec.same_layers(by_width ? 1.0 / std::sqrt(static_cast<double>(spec.d_head)) : 1.0);
  for (int64_t layer = 0; by_layer && layer < spec.n_layers; ++layer) {
    spec.layers[static_cast<size_t>(layer)].score_scale /= static_cast<double>(layer + 1);
  }
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "gpt2";
  spec.n_layers = config.size("n_layer", 12);
  spec.d_model = config.size("n_embd", 768);
  spec.n_heads = config.size("n_head", 12);
  spec.n_kv_heads = spec.n_heads;
  if (spec.d_model % spec.n_heads != 0) {
    throw std::invalid_argument("config.json: n_embd " + std::to_string(spec.d_model) +
                                " is no multiple of n_head " + std::to_string(spec.n_heads));
  }
  spec.d_head = spec.d_model / spec.n_heads;
  spec.d_mlp = config.size("n_inner", 4 * spec.d_model);
  spec.d_vocab = config.size("vocab_size", 50257);
  spec.n_ctx = config.size("n_positions", 1024);
  spec.norm = {NormKind::layer, config.number("layer_norm_epsilon", 1e-5)};
  spec.position = PositionKind::learned;
  spec.activation = activation_from_name(config.text("activation_function", "gelu_new"));
  spec.gated = false;
  set_score_scales(spec, config);
  spec.tied = config.flag("tie_word_embeddings", true);
  config.refuse("add_cross_attention", "cross attention is not known");
  // Dropout acts in training only; upcasting changes precision, not arithmetic; summaries belong to
  // classification heads.
  config.harmless({"attn_pdrop", "embd_pdrop", "resid_pdrop", "n_ctx", "reorder_and_upcast_attn",
                   "summary_activation", "summary_first_dropout", "summary_proj_to_labels",
                   "summary_type", "summary_use_proj"});
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model;
  const Layout conv = Layout::in_out;
  rows.matrix("embed.W_E", "transformer.wte.weight", s.d_vocab, d);
  rows.matrix("pos_embed.W_pos", "transformer.wpe.weight", s.n_ctx, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = "blocks." + std::to_string(layer) + ".";
    const std::string from = "transformer.h." + std::to_string(layer) + ".";
    rows.vector(to + "ln1.w", from + "ln_1.weight", d);
    rows.vector(to + "ln1.b", from + "ln_1.bias", d);
    rows.parts({to + "attn.W_Q", to + "attn.W_K", to + "attn.W_V"}, from + "attn.c_attn.weight",
               {d, d, d}, d, conv);
    rows.parts({to + "attn.b_Q", to + "attn.b_K", to + "attn.b_V"}, from + "attn.c_attn.bias",
               {d, d, d}, 0);
    rows.matrix(to + "attn.W_O", from + "attn.c_proj.weight", d, d, conv);
    rows.vector(to + "attn.b_O", from + "attn.c_proj.bias", d);
    rows.vector(to + "ln2.w", from + "ln_2.weight", d);
    rows.vector(to + "ln2.b", from + "ln_2.bias", d);
    rows.matrix(to + "mlp.W_in", from + "mlp.c_fc.weight", s.d_mlp, d, conv);
    rows.vector(to + "mlp.b_in", from + "mlp.c_fc.bias", s.d_mlp);
    rows.matrix(to + "mlp.W_out", from + "mlp.c_proj.weight", d, s.d_mlp, conv);
    rows.vector(to + "mlp.b_out", from + "mlp.c_proj.bias", d);
  }
  rows.vector("ln_final.w", "transformer.ln_f.weight", d);
  rows.vector("ln_final.b", "transformer.ln_f.bias", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> gpt2_families() {
  // Early GPT-2 files lack the prefix and keep the causal mask as a tensor.
  return {{"GPT2LMHeadModel",
           "gpt2",
           read,
           {rows},
           {{{"transformer.", ""}}},
           {"*h.*.attn.bias", "*h.*.attn.masked_bias"}}};
}

}  // namespace lenswright
