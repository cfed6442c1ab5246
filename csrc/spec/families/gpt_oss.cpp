// gpt-oss: attention sinks, windows in every other layer, clamped experts whose gates and ups take
// turns in one tensor. Names and defaults: transformers, models/gpt_oss/configuration_gpt_oss.py.
#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

constexpr const char* kUsualRope = R"({"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0,
  "beta_slow": 1.0, "truncate": false, "original_max_position_embeddings": 4096})";

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "gpt_oss",
                                       .kv_heads = 8,
                                       .d_head = 64,
                                       .null_is_shared = true,
                                       .n_ctx = 131072,
                                       .eps = 1e-5,
                                       .rope = {.theta = 150000.0, .parameters = kUsualRope}});
  const auto even = [](int64_t layer) { return layer % 2 == 0; };
  set_windows(spec, sliding_layers(config, spec, even), read_window(config, 128));
  spec.sinks = true;
  spec.activation = Activation::gelu_quick;  // whatever hidden_act is
  spec.activation_alpha = config.number("swiglu_alpha", 1.702);
  spec.mlp_limit = config.number("swiglu_limit", 7.0);
  spec.up_offset = 1.0;
  Routing& routing = spec.mixture.routing;
  routing.router = Router::softmax_last;
  routing.experts = size_under(config, {"num_local_experts", "num_experts"}, 128);
  routing.chosen = config.size("num_experts_per_tok", 4);
  spec.mixture.d_mlp = spec.d_mlp;
  set_mixtures(spec, [](int64_t) { return true; });
  harmless_in_mixtures(config);
  // initial_context_length is the rotation's original length again, experts_per_token the number
  // of chosen experts.
  config.harmless({"initial_context_length", "experts_per_token"});
  const bool biased = config.flag("attention_bias", true);
  spec.biases = {biased, biased, false};
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  return llama_like_rows(
      s, {}, [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
        const std::string all = from + "mlp.experts.";
        const int64_t d = s.d_model, width = s.mixture.d_mlp, count = s.mixture.routing.experts;
        rows.vector(to + "attn.sinks", from + "self_attn.sinks", s.n_heads);
        rows.matrix(to + "mlp.W_router", from + "mlp.router.weight", count, d);
        rows.vector(to + "mlp.b_router", from + "mlp.router.bias", count);
        for (int64_t i = 0; i < count; ++i) {
          const std::string expert = to + "mlp.experts." + std::to_string(i) + ".";
          rows.expert(i, count);
          rows.interleaved({expert + "W_gate", expert + "W_in"}, all + "gate_up_proj", {1, 1},
                           width, d, Layout::in_out);
          rows.interleaved({expert + "b_gate", expert + "b_in"}, all + "gate_up_proj_bias", {1, 1},
                           width, 0);
          rows.matrix(expert + "W_out", all + "down_proj", d, width, Layout::in_out);
          rows.vector(expert + "b_out", all + "down_proj_bias", d);
        }
        rows.no_expert();
      });
}

}  // namespace

std::vector<Family> gpt_oss_families() { return {{"GptOssForCausalLM", "gpt_oss", read, {rows}}}; }

}  // namespace lenswright
