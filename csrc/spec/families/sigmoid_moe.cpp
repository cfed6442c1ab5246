// GLM-4.5 and dots.llm1: DeepSeek-V3's router over Llama's attention.
// Names and defaults: transformers, models/glm4_moe/configuration_glm4_moe.py,
// models/dots1/configuration_dots1.py.
#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read_glm4(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "glm4_moe",
                                       .kv_heads = 8,
                                       .n_ctx = 131072,
                                       .eps = 1e-5,
                                       .rope = {.partial = 0.5, .may_be_partial = true}});
  if (config.flag("use_qk_norm", false)) norm_heads(spec);
  spec.mixture.routing = read_sigmoid_routing(config, {.experts = 128, .chosen = 8});
  spec.mixture.d_mlp = config.size("moe_intermediate_size", 1408);
  spec.mixture.d_shared = spec.mixture.d_mlp * read_whole(config, "n_shared_experts", 1);
  mixtures_after_dense(spec, config, 1);
  leave_next_token_layers(spec, config);
  spec.biases = {config.flag("attention_bias", false), false, false};
  harmless_in_mixtures(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_dots1(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "dots1", .kv_heads = 32});
  norm_heads(spec);
  const int64_t window = read_window(config, 4096);
  const int64_t until = read_whole(config, "max_window_layers", 62);
  const auto late = [&](int64_t layer) { return window > 0 && layer >= until; };
  set_windows(spec, sliding_layers(config, spec, late), window);
  spec.mixture.routing = read_sigmoid_routing(config, {.renormalise = false});
  spec.mixture.d_mlp = config.size("moe_intermediate_size", 1408);
  spec.mixture.d_shared = spec.mixture.d_mlp * config.size("n_shared_experts");
  mixtures_after_dense(spec, config, 0);
  spec.biases = attention_biases(config);
  harmless_in_mixtures(config);
  // The published name of the one router there is, and of every layer's being a mixture.
  expect_text(config, "scoring_func", "noaux_tc", "other routers are not known here");
  expect_number(config, "moe_layer_freq", 1.0, "other layouts of the layers are not known");
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

template <Experts experts>
std::vector<Row> rows(const Spec& s) {
  return llama_like_rows(
      s, {}, [&](Rows& rows, const std::string& to, const std::string& from, int64_t layer) {
        if (!s.layers[static_cast<size_t>(layer)].mixture) return dense_mlp_rows(rows, to, from, s);
        corrected_rows(rows, to, from + "mlp.", s, experts);
      });
}

}  // namespace

std::vector<Family> sigmoid_moe_families() {
  const std::vector<Family::RowsOf> both = {rows<Experts::separate>, rows<Experts::fused>};
  return {{"Glm4MoeForCausalLM", "glm4_moe", read_glm4, both},
          {"Dots1ForCausalLM", "dots1", read_dots1, both}};
}

}  // namespace lenswright
