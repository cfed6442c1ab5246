// Seed-OSS: Llama with biases of queries, keys and values.
// Names and defaults: transformers, models/seed_oss/configuration_seed_oss.py.
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "seed_oss",
                                       .kv_heads = 8,
                                       .d_head = 128,
                                       .null_is_shared = true,
                                       .n_ctx = 524288});
  spec.biases = {config.flag("attention_bias", true), config.flag("attention_out_bias", false),
                 config.flag("mlp_bias", false)};
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) { return llama_like_rows(spec); }

}  // namespace

std::vector<Family> seed_oss_families() {
  return {{"SeedOssForCausalLM", "seed_oss", read, {rows}}};
}

}  // namespace lenswright
