// OLMo 2 and 3: norms after the branches, and of all queries and keys as one vector; OLMo 3 has
// windows and a rotation of its own where they are.
// Names and defaults: transformers, models/olmo2/configuration_olmo2.py,
// models/olmo3/configuration_olmo3.py.
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

void norms_after(Spec& spec) {
  spec.norm.wide_gain = true;
  spec.norms = NormPlacement::after;
  spec.qk_norm = QkNorm::flat;
  spec.qk_norms = spec.norm;
}

Spec read_olmo2(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "olmo2", .eps = 1e-5});
  norms_after(spec);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_olmo3(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like_sizes(config, {.family = "olmo3", .eps = 1e-5});
  norms_after(spec);
  const auto most = [](int64_t layer) { return (layer + 1) % 4 != 0; };
  const std::vector<bool> sliding = sliding_layers(config, spec, most);
  set_windows(spec, sliding, read_needed_window(config, 4096));
  // Where layers slide, rope_theta is not asked.
  spec.ropes =
      ropes_by_layer_type(config, spec.d_head, spec.n_ctx,
                          {.theta = config.number("rope_theta", 500000.0)}, {.theta = 500000.0});
  for (size_t i = 0; i < sliding.size(); ++i) spec.layers[i].rope = sliding[i] ? 1 : 0;
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) {
  return llama_like_rows(spec, {.ln1 = "",
                                .ln1_post = "post_attention_layernorm",
                                .ln2 = "",
                                .ln2_post = "post_feedforward_layernorm"});
}

}  // namespace

std::vector<Family> olmo2_families() {
  return {{"Olmo2ForCausalLM", "olmo2", read_olmo2, {rows}},
          {"Olmo3ForCausalLM", "olmo3", read_olmo3, {rows}}};
}

}  // namespace lenswright
