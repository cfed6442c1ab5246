// Cohere's Command-R, and Command-R7B, whose full layers do not rotate: attention and MLP read one
// norm, pairs that rotate are neighbours, logits are scaled.
// Names and defaults: transformers, models/cohere/configuration_cohere.py and
// models/cohere2/configuration_cohere2.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// What both have, with the rotation's usual base.
Spec read(ConfigReader& config, const std::string& family, double theta) {
  Spec spec = read_llama_like(config, {.family = family,
                                       .null_is_shared = true,
                                       .n_ctx = 8192,
                                       .norm = NormKind::layer,
                                       .eps = 1e-5,
                                       .eps_key = "layer_norm_eps",
                                       .tied = true,
                                       .rope = {.theta = theta, .layout = RopeLayout::adjacent}});
  expect_shared_width(spec, config);
  spec.norm.wide_gain = true;
  spec.parallel = spec.shared_norm = true;
  spec.logit_scale = config.number("logit_scale", 0.0625);
  spec.biases = attention_biases(config);
  return spec;
}

Spec read_cohere(const Json& json) {
  ConfigReader config(json);
  Spec spec = read(config, "cohere", 500000.0);
  if (config.flag("use_qk_norm", false)) spec.qk_norm = QkNorm::head;
  spec.qk_norms = spec.norm;
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

// Layers with a window rotate; full ones have neither.
void set_layers(Spec& spec, ConfigReader& config) {
  const int64_t every = config.size("sliding_window_pattern", 4);
  expect_number(config, "layer_switch", static_cast<double>(every),
                "sliding_window_pattern or layer_types say which layers are full");
  const std::vector<bool> sliding =
      sliding_layers(config, spec, [every](int64_t layer) { return (layer + 1) % every != 0; });
  set_windows(spec, sliding, read_window(config, 4096));
  for (size_t layer = 0; layer < sliding.size(); ++layer) {
    spec.layers[layer].rope = sliding[layer] ? 0 : -1;
  }
}

Spec read_cohere2(const Json& json) {
  ConfigReader config(json);
  Spec spec = read(config, "cohere2", 10000.0);
  set_layers(spec, config);
  // Published configs carry keys of Cohere's own, which say what is so in all of them.
  const std::string why = "this family's models are not otherwise";
  expect_text(config, "position_embedding_type", "rope_gptj", why);
  expect_text(config, "order_of_interleaved_layers", "local_attn_first", why);
  expect_number(config, "rotary_pct", 1.0, why);
  for (const char* key : {"use_gated_activation", "use_parallel_block"}) {
    expect_flag(config, key, true, why);
  }
  config.harmless({"cache_implementation", "use_embedding_sharing", "use_parallel_embedding",
                   "_sliding_window_pattern"});
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  const LlamaNames names = {.ln2 = "", .q_norm = "", .k_norm = ""};
  return llama_like_rows(
      s, names, [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
        if (s.qk_norm != QkNorm::none) {  // gains of their own for each head
          const std::string attn = from + "self_attn.";
          rows.matrix(to + "attn.q_norm.w", attn + "q_norm.weight", s.n_heads, s.d_head);
          rows.matrix(to + "attn.k_norm.w", attn + "k_norm.weight", s.n_kv_heads, s.d_head);
        }
        dense_mlp_rows(rows, to, from, s);
      });
}

}  // namespace

std::vector<Family> cohere_families() {
  return {{"CohereForCausalLM", "cohere", read_cohere, {rows}, {}, kRotaryTables},
          {"Cohere2ForCausalLM", "cohere2", read_cohere2, {rows}, {}, kRotaryTables}};
}

}  // namespace lenswright
