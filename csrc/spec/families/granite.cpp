// Granite: Llama with a multiplier in each place.
// Names and defaults: transformers, models/granite/configuration_granite.py.
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "granite"});
  spec.embed_scale = config.number("embedding_multiplier", 1.0);
  spec.residual_scale = config.number("residual_multiplier", 1.0);
  spec.logit_scale = 1.0 / config.number("logits_scaling", 1.0);
  const double scale = config.number("attention_multiplier", 1.0);
  for (LayerSpec& layer : spec.layers) layer.score_scale = scale;
  spec.biases = llama_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

std::vector<Family> granite_families() { return {{"GraniteForCausalLM", "granite", read, {rows}}}; }

}  // namespace lenswright
