// BLOOM: linear biases for positions, a norm of the embedding, and a GELU of its own.
// Names and defaults: transformers, models/bloom/configuration_bloom.py.
#include "spec/families/alibi.h"
#include "spec/families/common.h"
#include "spec/families/families.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "bloom";
  spec.n_layers = size_under(config, {"n_layer", "num_hidden_layers"}, 2);
  spec.d_model = size_under(config, {"n_embed", "hidden_size"}, 64);
  spec.n_heads = size_under(config, {"n_head", "num_attention_heads"}, 8);
  share_width(spec);
  spec.d_mlp = 4 * spec.d_model;
  spec.d_vocab = config.size("vocab_size", 250880);
  spec.n_ctx = config.size("seq_length", 2048);  // it was trained on; biases know no end
  spec.norm = {NormKind::layer, config.number("layer_norm_epsilon", 1e-5)};
  spec.embed_norm = true;
  spec.position = PositionKind::alibi;
  spec.alibi.slopes = alibi_slopes(spec.n_heads);
  spec.activation = Activation::gelu_rounded;
  spec.gated = false;
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", true);
  config.refuse("apply_residual_connection_post_layernorm",
                "a residual that leaves the norm is not known, expected false");
  harmless_in_training(config);
  // The order of sums, kernels, precision of the softmax, and padding of text.
  config.harmless({"slow_but_exact", "offset_alibi", "skip_bias_add", "skip_bias_add_qkv",
                   "attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion",
                   "unk_token_id", "n_inner"});
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model, e = s.d_head;
  rows.matrix("embed.W_E", "transformer.word_embeddings.weight", s.d_vocab, d);
  biased_norm(rows, "embed.ln", "transformer.word_embeddings_layernorm", d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer), at = to + "attn.";
    const std::string from = "transformer.h." + std::to_string(layer) + ".";
    const std::string fused = from + "self_attention.query_key_value";
    biased_norm(rows, to + "ln1", from + "input_layernorm", d);
    // Head after head, each with its query, key and value.
    rows.interleaved({at + "W_Q", at + "W_K", at + "W_V"}, fused + ".weight", {e, e, e}, s.n_heads,
                     d);
    rows.interleaved({at + "b_Q", at + "b_K", at + "b_V"}, fused + ".bias", {e, e, e}, s.n_heads,
                     0);
    biased_linear(rows, at, "O", from + "self_attention.dense", d, d);
    biased_norm(rows, to + "ln2", from + "post_attention_layernorm", d);
    biased_linear(rows, to + "mlp.", "in", from + "mlp.dense_h_to_4h", s.d_mlp, d);
    biased_linear(rows, to + "mlp.", "out", from + "mlp.dense_4h_to_h", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "transformer.ln_f", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> bloom_families() {
  return {{"BloomForCausalLM", "bloom", read, {rows}, {{{"transformer.", ""}}}}};
}

}  // namespace lenswright
