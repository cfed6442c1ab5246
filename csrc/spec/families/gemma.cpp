// Gemma, Gemma 2 and the text part of Gemma 3: gains of 1 + w, scaled embeddings; from Gemma 2 on
// norms around the branches, windows and soft caps.
// Names and defaults: transformers, models/gemma/configuration_gemma.py,
// models/gemma2/configuration_gemma2.py, models/gemma3/configuration_gemma3.py.
#include <cmath>
#include <stdexcept>

#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

constexpr const char* kTanh = "gelu_pytorch_tanh";

LlamaLike gemma_like(const std::string& family, const std::string& activation_key) {
  return {.family = family,
          .kv_heads = 4,
          .d_head = 256,
          .n_ctx = 8192,
          .activation = kTanh,
          .activation_key = activation_key,
          .tied = true};
}

void scale_and_offset(Spec& spec, ConfigReader& config) {
  spec.norm.offset = 1.0;
  spec.norm.wide_gain = true;
  spec.embed_scale = std::sqrt(static_cast<double>(spec.d_model));
  config.refuse("use_bidirectional_attention", "attention looks back only");
}

// A soft cap: 0 where it is null, `otherwise` where the key is absent.
double read_cap(ConfigReader& config, const char* key, double otherwise) {
  if (config.absent(key)) return otherwise;
  if (!config.has(key)) return 0.0;
  const double cap = config.number(key, otherwise);
  if (cap > 0.0) return cap;
  throw std::invalid_argument("config.json: '" + std::string(key) + "' is " +
                              config.object(key).dump() + ", expected a positive number or null");
}

// What Gemma 2 and 3 have in common.
void norms_around(Spec& spec, ConfigReader& config) {
  scale_and_offset(spec, config);
  spec.norms = NormPlacement::around;
  const double scale = std::pow(config.number("query_pre_attn_scalar", 256.0), -0.5);
  for (LayerSpec& layer : spec.layers) layer.score_scale = scale;
  // hidden_act is hidden_activation's old name, which transformers leaves unread.
  config.harmless(
      {"hidden_act", "cache_implementation", "sliding_window_size", "_sliding_window_pattern"});
}

Spec read_gemma(const Json& json) {
  ConfigReader config(json);
  LlamaLike usual = gemma_like("gemma", "hidden_act");
  usual.kv_heads = 16;
  Spec spec = read_llama_like(config, usual);
  // Published configs say "gelu" and mean its approximation.
  if (config.text("hidden_act", kTanh) == "gelu") spec.activation = Activation::gelu_tanh;
  const std::string other = config.text("hidden_activation", kTanh);
  if (other != kTanh) {
    throw std::invalid_argument("config.json: 'hidden_activation' is '" + other +
                                "', which transformers leaves unread; expected null or '" + kTanh +
                                "'");
  }
  scale_and_offset(spec, config);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_gemma2(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, gemma_like("gemma2", "hidden_activation"));
  norms_around(spec, config);
  const auto even = [](int64_t layer) { return layer % 2 == 0; };
  set_windows(spec, sliding_layers(config, spec, even), read_needed_window(config, 4096));
  spec.score_softcap = read_cap(config, "attn_logit_softcapping", 50.0);
  spec.logit_softcap = read_cap(config, "final_logit_softcapping", 30.0);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_gemma3(const Json& json) {
  ConfigReader config(json);
  LlamaLike usual = gemma_like("gemma3", "hidden_activation");
  usual.n_ctx = 131072;
  Spec spec = read_llama_like_sizes(config, usual);
  norms_around(spec, config);
  norm_heads(spec);
  const int64_t pattern = config.size("sliding_window_pattern", 6);
  const auto most = [&](int64_t layer) { return (layer + 1) % pattern != 0; };
  const std::vector<bool> sliding = sliding_layers(config, spec, most);
  set_windows(spec, sliding, read_needed_window(config, 4096));
  spec.ropes = ropes_by_layer_type(config, spec.d_head, spec.n_ctx,
                                   {.theta = config.number("rope_theta", 1e6)},
                                   {.theta = config.number("rope_local_base_freq", 1e4)});
  for (size_t i = 0; i < sliding.size(); ++i) spec.layers[i].rope = sliding[i] ? 1 : 0;
  config.refuse("attn_logit_softcapping", "transformers does not cap this family's scores");
  spec.logit_softcap = read_cap(config, "final_logit_softcapping", 0.0);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) {
  if (spec.norms == NormPlacement::before) return llama_like_rows(spec);
  return llama_like_rows(spec, {.ln1_post = "post_attention_layernorm",
                                .ln2 = "pre_feedforward_layernorm",
                                .ln2_post = "post_feedforward_layernorm"});
}

}  // namespace

std::vector<Family> gemma_families() {
  return {{"GemmaForCausalLM", "gemma", read_gemma, {rows}, {}, kRotaryTables},
          {"Gemma2ForCausalLM", "gemma2", read_gemma2, {rows}},
          {"Gemma3ForCausalLM", "gemma3_text", read_gemma3, {rows}}};
}

}  // namespace lenswright
