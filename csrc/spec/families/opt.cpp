// OPT, whose smallest-but-one size has narrow embeddings and norms behind the sums, and XGLM, which
// is built alike around sinusoidal positions.
// Names and defaults: transformers, models/opt/configuration_opt.py and
// models/xglm/configuration_xglm.py.
#include <cmath>

#include "spec/families/common.h"
#include "spec/families/families.h"

namespace lenswright {
namespace {

// Both keep two rows of their position tables for padding.
constexpr int64_t kOffset = 2;

Spec read_opt(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "opt";
  spec.n_layers = config.size("num_hidden_layers", 12);
  spec.d_model = config.size("hidden_size", 768);
  spec.n_heads = config.size("num_attention_heads", 12);
  share_width(spec);
  spec.d_mlp = config.size("ffn_dim", 3072);
  spec.d_vocab = config.size("vocab_size", 50272);
  spec.n_ctx = config.size("max_position_embeddings", 2048);
  spec.norm = {NormKind::layer, 1e-5};
  const bool before = config.flag("do_layer_norm_before", true);
  spec.norms = before ? NormPlacement::before : NormPlacement::behind;
  spec.final_norm = !config.flag("_remove_final_layer_norm", false) && before;
  const int64_t width = config.size("word_embed_proj_dim", spec.d_model);
  if (width != spec.d_model) spec.d_embed = width;
  spec.position = PositionKind::learned;
  spec.position_offset = kOffset;
  spec.activation = activation_from_name(config.text("activation_function", "relu"));
  spec.gated = false;
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", true);
  config.refuse("scale_embeddings", "embeddings of this family are not scaled");
  harmless_in_training(config);
  spec.biases = same_biases(config.flag("enable_bias", true));
  spec.plain_norms = !config.flag("layer_norm_elementwise_affine", true);
  config.harmless({"learned_embeddings"});  // positions are learned in all of them
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_xglm(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "xglm";
  spec.n_layers = size_under(config, {"num_layers", "num_hidden_layers"}, 24);
  spec.d_model = size_under(config, {"d_model", "hidden_size"}, 1024);
  spec.n_heads = size_under(config, {"attention_heads", "num_attention_heads"}, 16);
  share_width(spec);
  spec.d_mlp = config.size("ffn_dim", 4096);
  spec.d_vocab = config.size("vocab_size", 256008);
  spec.n_ctx = config.size("max_position_embeddings", 2048);
  spec.norm = {NormKind::layer, 1e-5};
  if (config.flag("scale_embedding", true)) {
    spec.embed_scale = std::sqrt(static_cast<double>(spec.d_model));
  }
  spec.position = PositionKind::sinusoidal;
  spec.position_offset = kOffset;
  spec.activation = activation_from_name(config.text("activation_function", "gelu"));
  spec.gated = false;
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", true);
  spec.biases = same_biases(true);
  config.refuse("add_cross_attention", "cross attention is not known");
  harmless_in_training(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

void norm_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& s) {
  if (!s.plain_norms) biased_norm(rows, to, from, s.d_model);
}

void block_rows(Rows& rows, int64_t layer, const std::string& from, const Spec& s) {
  const int64_t d = s.d_model;
  const Biases& biased = s.biases;
  const std::string to = block_prefix(layer), attn = to + "attn.", mlp = to + "mlp.";
  norm_rows(rows, to + "ln1", from + "self_attn_layer_norm", s);
  linear(rows, attn, "Q", from + "self_attn.q_proj", d, d, biased.qkv);
  linear(rows, attn, "K", from + "self_attn.k_proj", d, d, biased.qkv);
  linear(rows, attn, "V", from + "self_attn.v_proj", d, d, biased.qkv);
  linear(rows, attn, "O", from + "self_attn.out_proj", d, d, biased.out);
  norm_rows(rows, to + "ln2", from + "final_layer_norm", s);
  linear(rows, mlp, "in", from + "fc1", s.d_mlp, d, biased.mlp);
  linear(rows, mlp, "out", from + "fc2", d, s.d_mlp, biased.mlp);
}

std::vector<Row> opt_rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model, width = s.embedding_width();
  const std::string at = "model.decoder.";
  rows.matrix("embed.W_E", at + "embed_tokens.weight", s.d_vocab, width);
  if (s.d_embed > 0) rows.matrix("embed.W_proj", at + "project_in.weight", d, width);
  rows.matrix("pos_embed.W_pos", at + "embed_positions.weight", s.n_ctx + kOffset, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    block_rows(rows, layer, at + "layers." + std::to_string(layer) + ".", s);
  }
  if (s.final_norm) norm_rows(rows, "ln_final", at + "final_layer_norm", s);
  if (s.d_embed > 0) rows.matrix("unembed.W_proj", at + "project_out.weight", width, d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, width);
  return rows.take();
}

std::vector<Row> xglm_rows(const Spec& s) {
  Rows rows;
  rows.matrix("embed.W_E", "model.embed_tokens.weight", s.d_vocab, s.d_model);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    block_rows(rows, layer, "model.layers." + std::to_string(layer) + ".", s);
  }
  norm_rows(rows, "ln_final", "model.layer_norm", s);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, s.d_model);
  return rows.take();
}

}  // namespace

std::vector<Family> opt_families() {
  return {
      {"OPTForCausalLM", "opt", read_opt, {opt_rows}, {{{"model.", ""}}}},
      {"XGLMForCausalLM", "xglm", read_xglm, {xglm_rows}, {}, {"model.embed_positions.weights"}}};
}

}  // namespace lenswright
