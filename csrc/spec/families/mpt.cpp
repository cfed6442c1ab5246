// MPT: linear biases counted from the end, norms without bias, no biases at all.
// Names and defaults: transformers, models/mpt/configuration_mpt.py, which reads fewer keys than
// MosaicML's own code: what that code would compute otherwise is refused.
#include <bit>
#include <cmath>
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/families.h"

namespace lenswright {
namespace {

constexpr double kMost = 8.0;  // the steepest slope is 2 to the power of -kMost

// Those of the power of two above, every other one of them first.
std::vector<double> slopes(int64_t heads) {
  const auto above = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(heads)));
  const auto slope = [&](int64_t i) {
    return std::exp2(-kMost * static_cast<double>(i) / static_cast<double>(above));
  };
  std::vector<double> all;
  if (above == heads) {
    for (int64_t i = 1; i <= above; ++i) all.push_back(slope(i));
    return all;
  }
  for (int64_t i = 2; i <= above; i += 2) all.push_back(slope(i));
  for (int64_t i = 1; i <= above; i += 2) all.push_back(slope(i));
  all.resize(static_cast<size_t>(heads));
  return all;
}

void read_attention(Spec& spec, const Json& json) {
  ConfigReader config(json);
  expect_text(config, "attn_type", "multihead_attention", "no other kind is known in this family");
  expect_flag(config, "alibi", true, "other positions are not known in this family");
  for (const char* key : {"qk_ln", "prefix_lm", "attn_uses_sequence_id", "rope"}) {
    config.refuse(key, "expected false, since this is not known in this family");
  }
  expect_number(config, "sliding_window_size", -1.0, "windows are not known in this family");
  expect_number(config, "alibi_bias_max", kMost, "transformers computes no other slopes");
  config.harmless({"attn_impl", "kv_n_heads", "rope_theta", "rope_impl", "rope_dail_config",
                   "rope_hf_config", "fused_qkv"});
  harmless_in_training(config);
  spec.alibi = {slopes(spec.n_heads), /*from_end=*/true};
  spec.same_layers(config.number("softmax_scale", usual_scale(spec)));
  spec.qkv_limit = config.number("clip_qkv", 0.0);
  if (spec.qkv_limit < 0.0) {
    throw std::invalid_argument(
        "config.json: 'attn_config.clip_qkv' is negative, expected a bound");
  }
  for (const std::string& key : config.unknown_keys()) {
    spec.unknown_keys.push_back("attn_config." + key);
  }
}

void refuse_what_transformers_ignores(ConfigReader& config) {
  expect_number(config, "expansion_ratio", 4.0, "MLPs are four times as wide in this family");
  expect_flag(config, "no_bias", true, "biases are not known in this family");
  expect_number(config, "embedding_fraction", 1.0, "it is not known in this family");
  expect_text(config, "norm_type", "low_precision_layernorm", "no other norm is known here");
  config.refuse("logit_scale", "expected null, since logits are not scaled in this family");
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "mpt";
  spec.n_layers = size_under(config, {"n_layers", "num_hidden_layers"}, 24);
  spec.d_model = size_under(config, {"d_model", "hidden_size"}, 2048);
  spec.n_heads = size_under(config, {"n_heads", "num_attention_heads"}, 16);
  share_width(spec);
  spec.d_mlp = 4 * spec.d_model;
  spec.d_vocab = config.size("vocab_size", 50368);
  spec.n_ctx = config.size("max_seq_len", 2048);
  spec.norm = {NormKind::layer, config.number("layer_norm_epsilon", 1e-5)};
  spec.position = PositionKind::alibi;
  spec.activation = Activation::gelu;
  spec.gated = false;
  spec.tied = config.flag("tie_word_embeddings", true);
  refuse_what_transformers_ignores(config);
  const Json attention = config.object("attn_config");
  harmless_in_training(config);
  // How models were made and trained. learned_pos_emb is true in published ones, which have none.
  config.harmless(
      {"init_config", "init_device", "init_std", "learned_pos_emb", "tokenizer_name", "verbose"});
  spec.unknown_keys = config.unknown_keys();
  read_attention(spec, attention.is_null() ? Json::object() : attention);
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model;
  rows.matrix("embed.W_E", "transformer.wte.weight", s.d_vocab, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer), at = to + "attn.";
    const std::string from = "transformer.blocks." + std::to_string(layer) + ".";
    rows.vector(to + "ln1.w", from + "norm_1.weight", d);
    rows.parts({at + "W_Q", at + "W_K", at + "W_V"}, from + "attn.Wqkv.weight", {d, d, d}, d);
    rows.matrix(at + "W_O", from + "attn.out_proj.weight", d, d);
    rows.vector(to + "ln2.w", from + "norm_2.weight", d);
    rows.matrix(to + "mlp.W_in", from + "ffn.up_proj.weight", s.d_mlp, d);
    rows.matrix(to + "mlp.W_out", from + "ffn.down_proj.weight", d, s.d_mlp);
  }
  rows.vector("ln_final.w", "transformer.norm_f.weight", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> mpt_families() { return {{"MptForCausalLM", "mpt", read, {rows}}}; }

}  // namespace lenswright
