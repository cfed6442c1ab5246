// Falcon in its three packings: one head of keys and values, as many as queries, or groups.
// Names and defaults: transformers, models/falcon/configuration_falcon.py.
#include <stdexcept>

#include "spec/families/alibi.h"
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/rope.h"

namespace lenswright {
namespace {

int64_t kv_heads(const Spec& spec, ConfigReader& config, bool grouped) {
  const bool one = config.flag("multi_query", true);
  const int64_t given = config.size("num_kv_heads", spec.n_heads);
  if (grouped) return given;
  if (one) return 1;
  if (given != spec.n_heads) {
    throw std::invalid_argument("config.json: 'num_kv_heads' is " + std::to_string(given) +
                                ", expected " + std::to_string(spec.n_heads) +
                                " where new_decoder_architecture and multi_query are false");
  }
  return given;
}

// Whether attention and MLP stand side by side, and whether they share a norm.
void set_norms(Spec& spec, ConfigReader& config, bool grouped) {
  spec.parallel = config.flag("parallel_attn", true);
  const int64_t norms = config.size("num_ln_in_parallel_attn", grouped ? 2 : 1);
  if (grouped ? !spec.parallel || norms > 2 : norms != 1) {
    throw std::invalid_argument(
        "config.json: 'num_ln_in_parallel_attn' is " + std::to_string(norms) +
        " and 'parallel_attn' " + (spec.parallel ? "true" : "false") +
        "; expected 1 or 2 and true with new_decoder_architecture, 1 or null without");
  }
  spec.shared_norm = spec.parallel && norms == 1;
}

void set_positions(Spec& spec, ConfigReader& config) {
  spec.same_layers(usual_scale(spec));
  if (!config.flag("alibi", false)) {
    spec.ropes = {read_rope(config, spec.d_head, spec.n_ctx, {})};
    return;
  }
  config.harmless({"rope_parameters", "rope_scaling", "rope_theta"});
  spec.position = PositionKind::alibi;
  spec.alibi.slopes = alibi_slopes(spec.n_heads);
  // Here biases are scaled together with the products.
  for (double& slope : spec.alibi.slopes) slope *= usual_scale(spec);
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "falcon";
  spec.n_layers = size_under(config, {"num_hidden_layers", "n_layer"}, 32);
  spec.d_model = size_under(config, {"n_embed", "hidden_size"}, 4544);
  spec.n_heads = size_under(config, {"num_attention_heads", "n_head"}, 71);
  share_width(spec);
  const bool grouped = config.flag("new_decoder_architecture", false);
  spec.n_kv_heads = kv_heads(spec, config, grouped);
  spec.d_mlp = config.size("ffn_hidden_size", 4 * spec.d_model);
  spec.d_vocab = config.size("vocab_size", 65024);
  spec.n_ctx = config.size("max_position_embeddings", 2048);
  spec.norm = {NormKind::layer, config.number("layer_norm_epsilon", 1e-5)};
  set_norms(spec, config, grouped);
  set_positions(spec, config);
  spec.activation = activation_from_name(config.text("activation", "gelu"));
  spec.gated = false;
  spec.tied = config.flag("tie_word_embeddings", true);
  config.refuse("apply_residual_connection_post_layernorm",
                "a residual that leaves the norm is not known, expected false");
  spec.biases = same_biases(config.flag("bias", false));
  harmless_in_training(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

// Key head after key head, each with its queries before it and its value behind. Other heads of
// queries than keys and values: one group of all of them; as many: a group each.
void projections(Rows& rows, const std::string& at, const std::string& from, const Spec& s) {
  const int64_t e = s.d_head, group = s.n_heads / s.n_kv_heads;
  const std::vector<int64_t> runs = {group * e, e, e};
  rows.interleaved({at + "W_Q", at + "W_K", at + "W_V"}, from + ".weight", runs, s.n_kv_heads,
                   s.d_model);
  if (!s.biases.qkv) return;
  rows.interleaved({at + "b_Q", at + "b_K", at + "b_V"}, from + ".bias", runs, s.n_kv_heads, 0,
                   Layout::out_in, /*optional=*/true);
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model;
  const bool two = s.parallel && !s.shared_norm;
  rows.matrix("embed.W_E", "transformer.word_embeddings.weight", s.d_vocab, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer), at = to + "attn.";
    const std::string from = "transformer.h." + std::to_string(layer) + ".";
    biased_norm(rows, to + "ln1", from + (two ? "ln_attn" : "input_layernorm"), d);
    projections(rows, at, from + "self_attention.query_key_value", s);
    linear(rows, at, "O", from + "self_attention.dense", d, d, s.biases.out);
    if (two) biased_norm(rows, to + "ln2", from + "ln_mlp", d);
    if (!s.parallel) biased_norm(rows, to + "ln2", from + "post_attention_layernorm", d);
    linear(rows, to + "mlp.", "in", from + "mlp.dense_h_to_4h", s.d_mlp, d, s.biases.mlp);
    linear(rows, to + "mlp.", "out", from + "mlp.dense_4h_to_h", d, s.d_mlp, s.biases.mlp);
  }
  biased_norm(rows, "ln_final", "transformer.ln_f", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> falcon_families() {
  return {{"FalconForCausalLM",
           "falcon",
           read,
           {rows},
           {},
           {"transformer.h.*.self_attention.rotary_emb.inv_freq"}}};
}

}  // namespace lenswright
