#include "spec/families/gpt2_like.h"

#include "spec/families/common.h"

namespace lenswright {

Spec read_gpt2_like(ConfigReader& config, const Gpt2Like& usual) {
  Spec spec;
  spec.family = usual.family;
  spec.n_layers = size_under(config, usual.layers_keys, usual.n_layers);
  spec.d_model = size_under(config, usual.width_keys, usual.d_model);
  spec.n_heads = size_under(config, usual.heads_keys, usual.n_heads);
  share_width(spec);
  spec.d_mlp = size_under(config, usual.mlp_keys, 4 * spec.d_model);
  spec.d_vocab = config.size("vocab_size", usual.d_vocab);
  spec.n_ctx = size_under(config, usual.context_keys, usual.n_ctx);
  spec.norm = {NormKind::layer, config.number("layer_norm_epsilon", 1e-5)};
  spec.position = PositionKind::learned;
  spec.activation = activation_from_name(config.text("activation_function", usual.activation));
  spec.gated = false;
  spec.tied = config.flag("tie_word_embeddings", usual.tied);
  config.refuse("add_cross_attention", "cross attention is not known");
  harmless_in_training(config);
  return spec;
}

std::vector<Row> gpt2_like_rows(const Spec& spec, ProjectionRows projections,
                                const std::string& out, Layout layout) {
  Rows rows;
  const int64_t d = spec.d_model;
  rows.matrix("embed.W_E", "transformer.wte.weight", spec.d_vocab, d);
  rows.matrix("pos_embed.W_pos", "transformer.wpe.weight", spec.n_ctx, d);
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) {
    const std::string to = block_prefix(layer), attn = to + "attn.", mlp = to + "mlp.";
    const std::string from = "transformer.h." + std::to_string(layer) + ".";
    biased_norm(rows, to + "ln1", from + "ln_1", d);
    projections(rows, attn, from + "attn.", spec);
    biased_linear(rows, attn, "O", from + "attn." + out, d, d, layout);
    biased_norm(rows, to + "ln2", from + "ln_2", d);
    biased_linear(rows, mlp, "in", from + "mlp.c_fc", spec.d_mlp, d, layout);
    biased_linear(rows, mlp, "out", from + "mlp.c_proj", d, spec.d_mlp, layout);
  }
  biased_norm(rows, "ln_final", "transformer.ln_f", d);
  if (!spec.tied) rows.matrix("unembed.W_U", "lm_head.weight", spec.d_vocab, d);
  return rows.take();
}

}  // namespace lenswright
