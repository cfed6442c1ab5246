// StarCoder2: Llama's names around an MLP without gate, LayerNorms and biases.
// Names and defaults: transformers, models/starcoder2/configuration_starcoder2.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "starcoder2",
                                       .kv_heads = 2,
                                       .null_is_shared = true,
                                       .n_ctx = 4096,
                                       .norm = NormKind::layer,
                                       .eps = 1e-5,
                                       .eps_key = "norm_epsilon",
                                       .activation = "gelu_pytorch_tanh",
                                       .tied = true});
  check_width(spec);
  spec.gated = false;
  same_windows(spec, read_window(config, 0));
  expect_text(config, "mlp_type", "default", "gated MLPs are not known in this family");
  expect_text(config, "norm_type", "layer_norm", "no other norm is known in this family");
  spec.biases = same_biases(config.flag("use_bias", true));
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) {
  return llama_like_rows(spec, {.up = "mlp.c_fc", .down = "mlp.c_proj", .biased_norms = true});
}

}  // namespace

std::vector<Family> starcoder2_families() {
  return {{"Starcoder2ForCausalLM", "starcoder2", read, {rows}, {}, kRotaryTables}};
}

}  // namespace lenswright
