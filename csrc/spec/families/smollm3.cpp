// SmolLM3: every fourth layer does not rotate.
// Names and defaults: transformers, models/smollm3/configuration_smollm3.py.
#include <stdexcept>

#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// no_rope_layers has, despite its name, 1 for layers that rotate.
void read_rotating(Spec& spec, ConfigReader& config) {
  const int64_t interval = config.size("no_rope_layer_interval", 4);
  const Json list = config.object("no_rope_layers");
  if (!list.is_null() && static_cast<int64_t>(list.size()) != spec.n_layers) {
    throw std::invalid_argument("config.json: 'no_rope_layers' has " + std::to_string(list.size()) +
                                " entries, expected " + std::to_string(spec.n_layers) +
                                ", one for each layer");
  }
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const bool rotates =
        list.is_null() ? (static_cast<int64_t>(i) + 1) % interval != 0 : list.at(i).as_int() != 0;
    spec.layers[i].rope = rotates ? 0 : -1;
  }
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(
      config,
      {.family = "smollm3", .kv_heads = 4, .n_ctx = 32768, .tied = true, .rope = {.theta = 2e6}});
  read_rotating(spec, config);
  const bool slides = config.flag("use_sliding_window", false);
  const int64_t window = read_window(config, 0);
  const auto unrotated = [&](int64_t layer) {
    return slides && window > 0 && !spec.rotates(static_cast<int>(layer));
  };
  set_windows(spec, sliding_layers(config, spec, unrotated), window);
  config.harmless({"max_window_layers"});
  spec.biases = llama_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

std::vector<Family> smollm3_families() { return {{"SmolLM3ForCausalLM", "smollm3", read, {rows}}}; }

}  // namespace lenswright
