// Llama 1 to 3.3, and what is shaped like it (TinyStories, SmolLM ...).
// Names and defaults: transformers, models/llama/configuration_llama.py.
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "llama", .null_is_shared = true});
  spec.biases = llama_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

std::vector<Family> llama_families() {
  return {{"LlamaForCausalLM", "llama", read, {rows}, {}, kRotaryTables}};
}

}  // namespace lenswright
