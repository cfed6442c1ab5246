// Mistral, Ministral and Ministral 3: Llama with windows.
// Names and defaults: transformers, models/mistral/configuration_mistral.py,
// models/ministral/configuration_ministral.py, models/ministral3/configuration_ministral3.py.
#include <stdexcept>

#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

constexpr const char* kMinistral3Rope = R"({"rope_type": "yarn", "rope_theta": 1000000.0,
  "factor": 16.0, "original_max_position_embeddings": 16384, "beta_fast": 32.0, "beta_slow": 1.0,
  "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1})";

Spec read_ministral(const Json& json) {
  ConfigReader config(json);
  config.size("head_dim");  // transformers derives none here
  Spec spec = read_llama_like(config, {.family = "ministral", .kv_heads = 8, .n_ctx = 131072});
  const auto all = [](int64_t) { return true; };
  set_windows(spec, sliding_layers(config, spec, all), read_needed_window(config, 4096));
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_mistral(const Json& json) {
  if (json.contains("layer_types")) return read_ministral(json);  // as transformers' AutoConfig
  ConfigReader config(json);
  Spec spec = read_llama_like(
      config, {.family = "mistral", .kv_heads = 8, .null_is_shared = true, .n_ctx = 131072});
  same_windows(spec, read_window(config, 4096));
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

QueryGrowth growth(ConfigReader& config, const Spec& spec, const RopeDefaults& defaults) {
  const Json given = rope_parameters(config, defaults);
  const auto needed = [&](const char* key) {
    if (given.contains(key) && !given.at(key).is_null()) return given.at(key).as_double();
    throw std::invalid_argument("config.json: 'rope_parameters." + std::string(key) +
                                "' is missing, by which queries grow");
  };
  const double beta = needed("llama_4_scaling_beta");
  // transformers derives an original length for these scalings only.
  const Rope& rope = spec.ropes[0];
  const bool derived = rope.scaling == RopeScaling::yarn || rope.scaling == RopeScaling::llama3 ||
                       rope.scaling == RopeScaling::longrope;
  if (derived) return {beta, rope.original_ctx};
  return {beta, static_cast<int64_t>(needed("original_max_position_embeddings"))};
}

Spec read_ministral3(const Json& json) {
  ConfigReader config(json);
  const RopeDefaults rope = {.more_keys = {"llama_4_scaling_beta", "max_position_embeddings"},
                             .parameters = kMinistral3Rope};
  Spec spec = read_llama_like(config, {.family = "ministral3",
                                       .kv_heads = 8,
                                       .d_head = 128,
                                       .null_is_shared = true,
                                       .n_ctx = 262144,
                                       .eps = 1e-5,
                                       .rope = rope});
  spec.query_growth = growth(config, spec, rope);
  same_windows(spec, read_window(config, 0));
  config.harmless({"layer_types"});  // which transformers passes over, too
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

std::vector<Family> mistral_families() {
  return {{"MistralForCausalLM", "mistral", read_mistral, {rows}, {}, kRotaryTables},
          {"MinistralForCausalLM", "ministral", read_ministral, {rows}},
          {"Ministral3ForCausalLM", "ministral3", read_ministral3, {rows}}};
}

}  // namespace lenswright
