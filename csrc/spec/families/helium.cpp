// Helium: Llama whose heads rotate in adjacent pairs.
// Names and defaults: transformers, models/helium/configuration_helium.py.
#include <stdexcept>

#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "helium",
                                       .kv_heads = 20,
                                       .d_head = 128,
                                       .n_ctx = 4096,
                                       .eps = 1e-8,
                                       .rope = {.theta = 1e5, .layout = RopeLayout::adjacent}});
  spec.norm.wide_gain = true;
  if (spec.n_heads * spec.d_head != spec.d_model) {
    throw std::invalid_argument("config.json: " + std::to_string(spec.n_heads) + " heads of " +
                                std::to_string(spec.d_head) + " are not as wide as the model, " +
                                std::to_string(spec.d_model) + ", which this family needs");
  }
  spec.biases = llama_biases(config);
  spec.biases.out = false;
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

std::vector<Family> helium_families() { return {{"HeliumForCausalLM", "helium", read, {rows}}}; }

}  // namespace lenswright
