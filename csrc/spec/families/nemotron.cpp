// Nemotron-4 and Minitron: Llama's names around squared ReLUs, and LayerNorms whose gains are
// stored less one.
// Names and defaults: transformers, models/nemotron/configuration_nemotron.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  config.size("num_key_value_heads");  // transformers derives none here
  Spec spec = read_llama_like(config, {.family = "nemotron",
                                       .null_is_shared = true,
                                       .n_ctx = 4096,
                                       .norm = NormKind::layer,
                                       .eps = 1e-5,
                                       .eps_key = "norm_eps",
                                       .activation = "relu2",
                                       .rope = {.partial = 0.5, .may_be_partial = true}});
  check_width(spec);
  spec.norm.offset = 1.0;
  spec.norm.wide_gain = true;
  spec.gated = false;
  spec.biases = llama_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec, {.biased_norms = true}); }

}  // namespace

std::vector<Family> nemotron_families() {
  return {{"NemotronForCausalLM", "nemotron", read, {rows}, {}, kRotaryTables}};
}

}  // namespace lenswright
