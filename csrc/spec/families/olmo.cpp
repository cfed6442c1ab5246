// OLMo, the first: Llama with LayerNorms that have neither gain nor bias.
// Names and defaults: transformers, models/olmo/configuration_olmo.py.
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// clip_qkv; 0 where it is null.
double read_limit(ConfigReader& config) {
  if (!config.has("clip_qkv")) return 0.0;
  const double limit = config.number("clip_qkv", 0.0);
  if (limit > 0.0) return limit;
  throw std::invalid_argument("config.json: 'clip_qkv' is " + config.object("clip_qkv").dump() +
                              ", expected a positive bound or null");
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(
      config, {.family = "olmo", .norm = NormKind::layer, .eps = 1e-5, .eps_key = ""});
  check_width(spec);
  spec.qkv_limit = read_limit(config);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) {
  return llama_like_rows(spec, {.ln1 = "", .ln2 = "", .ln_final = ""});
}

}  // namespace

std::vector<Family> olmo_families() { return {{"OlmoForCausalLM", "olmo", read, {rows}}}; }

}  // namespace lenswright
