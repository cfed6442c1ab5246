// Qwen's mixtures: Qwen2 MoE, with a gated expert that every token passes; Qwen3 MoE; the text part
// of Qwen3-VL MoE. Names and defaults: transformers, models/qwen2_moe/configuration_qwen2_moe.py,
// models/qwen3_moe/configuration_qwen3_moe.py, models/qwen3_vl_moe/configuration_qwen3_vl_moe.py.
#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"
#include "spec/families/towers.h"

namespace lenswright {
namespace {

struct Usual {
  int64_t experts, chosen, d_expert;
};

void read_mixture(Spec& spec, ConfigReader& config, const Usual& usual) {
  Routing& routing = spec.mixture.routing;
  routing.experts = size_under(config, {"num_local_experts", "num_experts"}, usual.experts);
  routing.chosen = config.size("num_experts_per_tok", usual.chosen);
  spec.mixture.d_mlp = config.size("moe_intermediate_size", usual.d_expert);
  mixtures_by_step(spec, config);
  harmless_in_mixtures(config);
}

Spec read_qwen2(const Json& json) {
  ConfigReader config(json);
  Spec spec =
      read_llama_like(config, {.family = "qwen2_moe", .kv_heads = 16, .n_ctx = 32768, .eps = 1e-6});
  const bool slides = config.flag("use_sliding_window", false);
  const int64_t until = read_whole(config, "max_window_layers", 28);
  const auto even = [&](int64_t layer) { return slides && layer % 2 == 0 && layer < until; };
  set_windows(spec, sliding_layers(config, spec, even), slides ? read_window(config, 4096) : 0);
  config.harmless({"sliding_window"});  // where no layer slides it may be 0
  read_mixture(spec, config, {60, 4, 1408});
  spec.mixture.routing.renormalise = config.flag("norm_topk_prob", false);
  spec.mixture.d_shared = config.size("shared_expert_intermediate_size", 5632);
  spec.mixture.shared_gate = true;
  spec.biases = {config.flag("qkv_bias", true), false, false};
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_qwen3(const Json& json) {
  ConfigReader config(json);
  Spec spec =
      read_llama_like(config, {.family = "qwen3_moe", .kv_heads = 4, .n_ctx = 32768, .eps = 1e-6});
  norm_heads(spec);
  const bool slides = config.flag("use_sliding_window", false);
  same_windows(spec, slides ? read_window(config, 4096) : 0);
  read_mixture(spec, config, {128, 8, 768});
  spec.mixture.routing.renormalise = config.flag("norm_topk_prob", false);
  config.harmless({"sliding_window", "max_window_layers"});
  expect_flag(config, "use_qk_norm", true, "queries and keys are always normed in this family");
  config.refuse("shared_expert_intermediate_size", "this family has no shared expert");
  config.refuse("qkv_bias", "attention_bias says it in this family");
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_qwen3_vl(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "qwen3_vl_moe",
                                       .kv_heads = 16,
                                       .null_is_shared = true,
                                       .n_ctx = 128000,
                                       .eps = 1e-6,
                                       .rope = {.theta = 5e5}});
  norm_heads(spec);
  read_mixture(spec, config, {60, 4, 1408});
  spec.mixture.routing.renormalise = true;
  expect_flag(config, "norm_topk_prob", true, "transformers always renormalises here");
  config.harmless({"sliding_window", "use_sliding_window", "max_window_layers"});  // none slides
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

// `experts` adds the rows of all experts of a layer.
template <typename AddExperts>
std::vector<Row> qwen_rows(const Spec& s, AddExperts add_experts) {
  return llama_like_rows(
      s, {}, [&](Rows& rows, const std::string& to, const std::string& from, int64_t layer) {
        if (!s.layers[static_cast<size_t>(layer)].mixture) return dense_mlp_rows(rows, to, from, s);
        const std::string mlp = from + "mlp.";
        rows.matrix(to + "mlp.W_router", mlp + "gate.weight", s.mixture.routing.experts, s.d_model);
        add_experts(rows, to, mlp + "experts.");
        if (s.mixture.d_shared == 0) return;
        gated_rows(rows, to + "mlp.shared.", mlp + "shared_expert.", s.mixture.d_shared, s);
        rows.matrix(to + "mlp.W_shared_gate", mlp + "shared_expert_gate.weight", 1, s.d_model);
      });
}

template <Experts experts>
std::vector<Row> rows(const Spec& s) {
  return qwen_rows(s, [&](Rows& rows, const std::string& to, const std::string& from) {
    expert_rows(rows, to, from, s, experts);
  });
}

// As published, with each expert's matrices the other way round.
std::vector<Row> transposed(const Spec& s) {
  return qwen_rows(s, [&](Rows& rows, const std::string& to, const std::string& from) {
    fused_expert_rows(rows, to, from + "gate_up_proj", from + "down_proj", s, Layout::in_out);
  });
}

}  // namespace

std::vector<Family> qwen_moe_families() {
  const std::vector<Family::RowsOf> both = {rows<Experts::separate>, rows<Experts::fused>};
  return {{"Qwen2MoeForCausalLM", "qwen2_moe", read_qwen2, both},
          {"Qwen3MoeForCausalLM", "qwen3_moe", read_qwen3, both},
          tower_over({.architecture = "Qwen3VLMoeForConditionalGeneration",
                      .model_type = "qwen3_vl_moe",
                      .ignored = {"model.visual.*", "visual.*"}},
                     {"",
                      "qwen3_vl_moe_text",
                      read_qwen3_vl,
                      {rows<Experts::fused>, transposed, rows<Experts::separate>}})};
}

}  // namespace lenswright
