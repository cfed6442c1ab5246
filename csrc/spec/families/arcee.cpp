// Arcee: Llama without a gate, its MLP's activation the square of a ReLU.
// Names and defaults: transformers, models/arcee/configuration_arcee.py.
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "arcee",
                                       .null_is_shared = true,
                                       .n_ctx = 4096,
                                       .eps = 1e-5,
                                       .activation = "relu2"});
  spec.gated = false;
  spec.biases = llama_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

std::vector<Family> arcee_families() { return {{"ArceeForCausalLM", "arcee", read, {rows}}}; }

}  // namespace lenswright
