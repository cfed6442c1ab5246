// EXAONE 4: norms after the branches and of each head; only layers that slide rotate.
// Names and defaults: transformers, models/exaone4/configuration_exaone4.py.
#include <stdexcept>

#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// sliding_window_pattern: every how many layers one is full; 0: that is not a number.
int64_t read_pattern(ConfigReader& config, int64_t window) {
  const Json pattern = config.object("sliding_window_pattern");
  if (window == 0 || pattern.is_string()) return 0;
  return config.size("sliding_window_pattern", 4);
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "exaone4", .kv_heads = 32, .eps = 1e-5});
  spec.norms = NormPlacement::after;
  norm_heads(spec);
  const int64_t window = read_window(config, 4096), pattern = read_pattern(config, window);
  if (pattern == 0 && !config.has("layer_types")) {
    throw std::invalid_argument(
        "config.json: 'layer_types' is missing, which layers attend to a window is not known");
  }
  const auto most = [&](int64_t layer) { return (layer + 1) % pattern != 0; };
  const std::vector<bool> sliding = sliding_layers(config, spec, most);
  set_windows(spec, sliding, window);
  for (size_t i = 0; i < sliding.size(); ++i) {
    spec.layers[i].rope = window == 0 || sliding[i] ? 0 : -1;
  }
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

std::vector<Family> exaone4_families() { return {{"Exaone4ForCausalLM", "exaone4", read, {rows}}}; }

}  // namespace lenswright
