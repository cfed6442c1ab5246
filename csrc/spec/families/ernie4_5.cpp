// ERNIE 4.5, dense: Llama whose heads rotate in adjacent pairs.
// Names and defaults: transformers, models/ernie4_5/configuration_ernie4_5.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "ernie4_5",
                                       .kv_heads = 2,
                                       .d_head = 128,
                                       .null_is_shared = true,
                                       .n_ctx = 131072,
                                       .eps = 1e-5,
                                       .tied = true,
                                       .rope = {.theta = 5e5, .layout = RopeLayout::adjacent}});
  spec.biases = same_biases(config.flag("use_bias", false));
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

std::vector<Family> ernie4_5_families() {
  return {{"Ernie4_5ForCausalLM", "ernie4_5", read, {rows}}};
}

}  // namespace lenswright
