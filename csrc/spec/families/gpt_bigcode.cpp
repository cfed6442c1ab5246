// GPT-BigCode (StarCoder, SantaCoder): GPT-2 whose heads may share one head of keys and values.
// Names and defaults: transformers, models/gpt_bigcode/configuration_gpt_bigcode.py.
#include "spec/families/common.h"
#include "spec/families/families.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "gpt_bigcode";
  spec.n_layers = size_under(config, {"n_layer", "num_hidden_layers"}, 12);
  spec.d_model = size_under(config, {"n_embd", "hidden_size"}, 768);
  spec.n_heads = size_under(config, {"n_head", "num_attention_heads"}, 12);
  share_width(spec);
  if (config.flag("multi_query", true)) spec.n_kv_heads = 1;
  spec.d_mlp = config.size("n_inner", 4 * spec.d_model);
  spec.d_vocab = config.size("vocab_size", 50257);
  spec.n_ctx = size_under(config, {"n_positions", "max_position_embeddings"}, 1024);
  spec.norm = {NormKind::layer, config.number("layer_norm_epsilon", 1e-5)};
  spec.position = PositionKind::learned;
  spec.activation = activation_from_name(config.text("activation_function", "gelu_pytorch_tanh"));
  spec.gated = false;
  spec.same_layers(config.flag("scale_attn_weights", true) ? usual_scale(spec) : 1.0);
  spec.tied = config.flag("tie_word_embeddings", true);
  config.refuse("add_cross_attention", "cross attention is not known");
  harmless_in_training(config);
  // Precision of the softmax; what multi_query says already; how an old implementation batched.
  config.harmless({"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
                   "num_key_value_heads", "n_ctx", "inference_runner", "max_batch_size",
                   "max_sequence_length", "pad_key_length", "pre_allocate_kv_cache",
                   "validate_runner_input", "attention_head_type", "use_normformer"});
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

// All queries, one key, one value; or head after head, each with its query, key and value.
void projections(Rows& rows, const std::string& at, const std::string& from, const Spec& s) {
  const bool shared = s.n_kv_heads == 1 && s.n_heads > 1;
  const std::vector<int64_t> runs = {shared ? s.d_model : s.d_head, s.d_head, s.d_head};
  const int64_t turns = shared ? 1 : s.n_heads;
  rows.interleaved({at + "W_Q", at + "W_K", at + "W_V"}, from + ".weight", runs, turns, s.d_model);
  rows.interleaved({at + "b_Q", at + "b_K", at + "b_V"}, from + ".bias", runs, turns, 0);
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model;
  rows.matrix("embed.W_E", "transformer.wte.weight", s.d_vocab, d);
  rows.matrix("pos_embed.W_pos", "transformer.wpe.weight", s.n_ctx, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer);
    const std::string from = "transformer.h." + std::to_string(layer) + ".";
    biased_norm(rows, to + "ln1", from + "ln_1", d);
    projections(rows, to + "attn.", from + "attn.c_attn", s);
    biased_linear(rows, to + "attn.", "O", from + "attn.c_proj", d, d);
    biased_norm(rows, to + "ln2", from + "ln_2", d);
    biased_linear(rows, to + "mlp.", "in", from + "mlp.c_fc", s.d_mlp, d);
    biased_linear(rows, to + "mlp.", "out", from + "mlp.c_proj", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "transformer.ln_f", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> gpt_bigcode_families() {
  return {{"GPTBigCodeForCausalLM",
           "gpt_bigcode",
           read,
           {rows},
           {},
           {"transformer.h.*.attn.bias", "transformer.h.*.attn.masked_bias"}}};
}

}  // namespace lenswright
