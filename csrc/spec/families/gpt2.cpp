// GPT-2: learned positions, LayerNorm, fused Conv1D projections that lie as [in, out].
// Names and defaults: transformers, models/gpt2/configuration_gpt2.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/gpt2_like.h"

namespace lenswright {
namespace {

void set_score_scales(Spec& spec, ConfigReader& config) {
  const bool by_width = config.flag("scale_attn_weights", true);
  const bool by_layer = config.flag("scale_attn_by_inverse_layer_idx", false);
  spec.same_layers(by_width ? usual_scale(spec) : 1.0);
  for (int64_t layer = 0; by_layer && layer < spec.n_layers; ++layer) {
    spec.layers[static_cast<size_t>(layer)].score_scale /= static_cast<double>(layer + 1);
  }
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_gpt2_like(config, {.family = "gpt2"});
  set_score_scales(spec, config);
  config.harmless({"n_ctx", "reorder_and_upcast_attn"});  // the latter changes precision only
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

void projections(Rows& rows, const std::string& to, const std::string& from, const Spec& s) {
  const int64_t d = s.d_model;
  rows.parts({to + "W_Q", to + "W_K", to + "W_V"}, from + "c_attn.weight", {d, d, d}, d,
             Layout::in_out);
  rows.parts({to + "b_Q", to + "b_K", to + "b_V"}, from + "c_attn.bias", {d, d, d}, 0);
}

std::vector<Row> rows(const Spec& spec) {
  return gpt2_like_rows(spec, projections, "c_proj", Layout::in_out);
}

}  // namespace

std::vector<Family> gpt2_families() {
  // Early GPT-2 files lack the prefix and keep the causal mask as a tensor.
  return {{"GPT2LMHeadModel",
           "gpt2",
           read,
           {rows},
           {{{"transformer.", ""}}},
           {"*h.*.attn.bias", "*h.*.attn.masked_bias"}}};
}

}  // namespace lenswright
