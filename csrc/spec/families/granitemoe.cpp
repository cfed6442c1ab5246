// Granite 3 MoE, with and without an expert that every token passes; experts come in one tensor.
// Names and defaults: transformers, models/granitemoe/configuration_granitemoe.py,
// models/granitemoeshared/configuration_granitemoeshared.py.
#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(ConfigReader& config, const std::string& family) {
  Spec spec = read_llama_like(config, {.family = family});
  spec.embed_scale = config.number("embedding_multiplier", 1.0);
  spec.logit_scale = 1.0 / config.number("logits_scaling", 1.0);
  spec.residual_scale = config.number("residual_multiplier", 1.0);
  for (LayerSpec& layer : spec.layers) {
    layer.score_scale = config.number("attention_multiplier", 1.0);
  }
  Routing& routing = spec.mixture.routing;
  routing.router = Router::softmax_last;
  routing.experts = size_under(config, {"num_local_experts", "num_experts"}, 8);
  routing.chosen = config.size("num_experts_per_tok", 2);
  spec.mixture.d_mlp = spec.d_mlp;
  set_mixtures(spec, [](int64_t) { return true; });
  harmless_in_mixtures(config);
  spec.biases = attention_biases(config);
  expect_text(config, "position_embedding_type", "rope", "other positions are not known here");
  return spec;
}

Spec read_moe(const Json& json) {
  ConfigReader config(json);
  Spec spec = read(config, "granitemoe");
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_shared(const Json& json) {
  ConfigReader config(json);
  Spec spec = read(config, "granitemoeshared");
  spec.mixture.d_shared = read_whole(config, "shared_intermediate_size", 0);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

void shared_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& s) {
  const int64_t d = s.d_model, width = s.mixture.d_shared;
  if (width == 0) return;
  rows.parts({to + "mlp.shared.W_gate", to + "mlp.shared.W_in"},
             from + "shared_mlp.input_linear.weight", {width, width}, d);
  rows.matrix(to + "mlp.shared.W_out", from + "shared_mlp.output_linear.weight", d, width);
}

struct Names {
  std::string router, gate_up, down;
};

std::vector<Row> named(const Spec& s, const Names& names) {
  return llama_like_rows(
      s, {}, [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
        const std::string mlp = from + "block_sparse_moe.";
        rows.matrix(to + "mlp.W_router", mlp + names.router, s.mixture.routing.experts, s.d_model);
        fused_expert_rows(rows, to, mlp + names.gate_up, mlp + names.down, s);
        shared_rows(rows, to, from, s);
      });
}

std::vector<Row> published(const Spec& s) {
  return named(s, {"router.layer.weight", "input_linear.weight", "output_linear.weight"});
}

std::vector<Row> in_memory(const Spec& s) {
  return named(s, {"router.weight", "experts.gate_up_proj", "experts.down_proj"});
}

}  // namespace

std::vector<Family> granitemoe_families() {
  const std::vector<Family::RowsOf> both = {published, in_memory};
  return {{"GraniteMoeForCausalLM", "granitemoe", read_moe, both},
          {"GraniteMoeSharedForCausalLM", "granitemoeshared", read_shared, both}};
}

}  // namespace lenswright
