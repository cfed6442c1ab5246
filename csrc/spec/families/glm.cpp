// GLM-4 and its successor of 0414: half of a head rotates, in adjacent pairs; the latter has norms
// around its branches.
// Names and defaults: transformers, models/glm/configuration_glm.py,
// models/glm4/configuration_glm4.py.
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read_glm(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(
      config, {.family = "glm",
               .kv_heads = 2,
               .d_head = 128,
               .n_ctx = 131072,
               .eps = 1.5625e-7,
               .rope = {.partial = 0.5, .may_be_partial = true, .layout = RopeLayout::adjacent}});
  spec.biases = {config.flag("attention_bias", true), false, false};
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_glm4(const Json& json) {
  Spec spec = read_glm(json);
  spec.family = "glm4";
  spec.norms = NormPlacement::around;
  return spec;
}

std::vector<Row> rows(const Spec& spec) {
  if (spec.norms == NormPlacement::before) {
    return llama_like_rows(spec, {.gate_up = "mlp.gate_up_proj"});
  }
  return llama_like_rows(spec, {.ln1_post = "post_self_attn_layernorm",
                                .ln2_post = "post_mlp_layernorm",
                                .gate_up = "mlp.gate_up_proj"});
}

}  // namespace

std::vector<Family> glm_families() {
  return {{"GlmForCausalLM", "glm", read_glm, {rows}},
          {"Glm4ForCausalLM", "glm4", read_glm4, {rows}}};
}

}  // namespace lenswright
