// GPT-BigCode (StarCoder, SantaCoder): GPT-2 whose heads may share one head of keys and values.
// Names and defaults: transformers, models/gpt_bigcode/configuration_gpt_bigcode.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/gpt2_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_gpt2_like(config, {.family = "gpt_bigcode", .activation = "gelu_pytorch_tanh"});
  if (config.flag("multi_query", true)) spec.n_kv_heads = 1;
  spec.same_layers(config.flag("scale_attn_weights", true) ? usual_scale(spec) : 1.0);
  // Precision of the softmax; what multi_query says already; how an old implementation batched.
  config.harmless({"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
                   "num_key_value_heads", "n_ctx", "inference_runner", "max_batch_size",
                   "max_sequence_length", "pad_key_length", "pre_allocate_kv_cache",
                   "validate_runner_input", "attention_head_type", "use_normformer"});
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

// All queries, one key, one value; or head after head, each with its query, key and value.
void projections(Rows& rows, const std::string& to, const std::string& from, const Spec& s) {
  const bool shared = s.n_kv_heads == 1 && s.n_heads > 1;
  const std::vector<int64_t> runs = {shared ? s.d_model : s.d_head, s.d_head, s.d_head};
  const int64_t turns = shared ? 1 : s.n_heads;
  rows.interleaved({to + "W_Q", to + "W_K", to + "W_V"}, from + "c_attn.weight", runs, turns,
                   s.d_model);
  rows.interleaved({to + "b_Q", to + "b_K", to + "b_V"}, from + "c_attn.bias", runs, turns, 0);
}

std::vector<Row> rows(const Spec& spec) { return gpt2_like_rows(spec, projections); }

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
