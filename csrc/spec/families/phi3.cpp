// Phi-3 and Phi-4: fused projections, a window, and rotations with short and long factors.
// Names and defaults: transformers, models/phi3/configuration_phi3.py.
#include <stdexcept>

#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// Early configs call longrope "su" or "yarn".
Json current(Json json) {
  for (const char* early : {"su", "yarn"}) json = with_rope_type(json, early, "longrope");
  if (!json.contains("original_max_position_embeddings")) {
    json.set("original_max_position_embeddings", 4096);
  }
  return json;
}

Spec read(const Json& json) {
  const Json renamed = current(json);
  ConfigReader config(renamed);
  Spec spec = read_llama_like(
      config, {.family = "phi3", .n_ctx = 4096, .eps = 1e-5, .rope = {.may_be_partial = true}});
  const RopeScaling scaling = spec.ropes[0].scaling;
  if (scaling != RopeScaling::plain && scaling != RopeScaling::longrope) {
    throw std::invalid_argument("config.json: 'rope_scaling.rope_type' is '" +
                                std::string(name_of(scaling)) + "', expected default or longrope");
  }
  same_windows(spec, read_window(config, 0));
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) {
  return llama_like_rows(spec, {.qkv = "self_attn.qkv_proj", .gate_up = "mlp.gate_up_proj"});
}

}  // namespace

std::vector<Family> phi3_families() {
  return {{"Phi3ForCausalLM", "phi3", read, {rows}, {}, kRotaryTables}};
}

}  // namespace lenswright
