// Qwen2, Qwen3 and the text parts of Qwen2-VL, Qwen2.5-VL and Qwen3-VL.
// Names and defaults: transformers, models/qwen2/configuration_qwen2.py,
// models/qwen3/configuration_qwen3.py, models/qwen2_vl/configuration_qwen2_vl.py,
// models/qwen3_vl/configuration_qwen3_vl.py.
#include "spec/families/qwen.h"

#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// Windows in the layers from max_window_layers on, where use_sliding_window is true.
void late_windows(Spec& spec, ConfigReader& config, double full_layers) {
  const bool slides = config.flag("use_sliding_window", false);
  const int64_t size = read_window(config, 4096), window = slides ? size : 0;
  const double from = config.number("max_window_layers", full_layers);
  const auto late = [&](int64_t layer) { return window > 0 && static_cast<double>(layer) >= from; };
  set_windows(spec, sliding_layers(config, spec, late), window);
}

Spec read_qwen2(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "qwen2", .kv_heads = 32, .n_ctx = 32768});
  late_windows(spec, config, 28);
  spec.biases = {true, false, false};
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_qwen3(const Json& json) {
  ConfigReader config(json);
  Spec spec =
      read_llama_like(config, {.family = "qwen3", .kv_heads = 32, .d_head = 128, .n_ctx = 32768});
  norm_heads(spec);
  late_windows(spec, config, 28);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

// Rotations have sections for time, height and width, which text turns alike: "mrope" is plain.
Spec read_qwen2_vl(const Json& json) {
  const Json plain = with_rope_type(json, "mrope", "default");
  ConfigReader config(plain);
  Spec spec = read_llama_like(
      config,
      {.family = "qwen2_vl", .kv_heads = 8, .n_ctx = 32768, .eps = 1e-5, .rope = {.theta = 1e6}});
  expect_shared_width(spec, config);
  late_windows(spec, config, 80);
  spec.biases = {true, false, false};
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_qwen3_vl(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "qwen3_vl",
                                       .kv_heads = 32,
                                       .d_head = 128,
                                       .n_ctx = 128000,
                                       .rope = {.theta = 5e5}});
  norm_heads(spec);
  config.harmless({"use_sliding_window", "sliding_window", "max_window_layers", "layer_types"});
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

Family qwen2_vl_text(const std::string& model_type) {
  return {"", model_type, read_qwen2_vl, {rows}};
}

Family qwen3_vl_text() { return {"", "qwen3_vl_text", read_qwen3_vl, {rows}}; }

std::vector<Family> qwen_families() {
  return {{"Qwen2ForCausalLM", "qwen2", read_qwen2, {rows}, {}, kRotaryTables},
          {"Qwen3ForCausalLM", "qwen3", read_qwen3, {rows}}};
}

}  // namespace lenswright
