// OLMoE: norms of all queries and all keys, a limit after them, a mixture in every layer.
// Names and defaults: transformers, models/olmoe/configuration_olmoe.py.
#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "olmoe", .n_ctx = 4096, .eps = 1e-5});
  spec.qk_norm = QkNorm::flat;
  spec.qk_norms = spec.norm;
  spec.qkv_limit = config.number("clip_qkv", 0.0);
  spec.qkv_limit_after_norm = true;
  Routing& routing = spec.mixture.routing;
  routing.experts = size_under(config, {"num_experts", "num_local_experts"}, 64);
  routing.chosen = config.size("num_experts_per_tok", 8);
  routing.renormalise = config.flag("norm_topk_prob", false);
  spec.mixture.d_mlp = spec.d_mlp;
  set_mixtures(spec, [](int64_t) { return true; });
  harmless_in_mixtures(config);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

template <Experts experts>
std::vector<Row> rows(const Spec& s) {
  return llama_like_rows(
      s, {}, [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
        const std::string mlp = from + "mlp.";
        rows.matrix(to + "mlp.W_router", mlp + "gate.weight", s.mixture.routing.experts, s.d_model);
        expert_rows(rows, to, mlp + "experts.", s, experts);
      });
}

}  // namespace

std::vector<Family> olmoe_families() {
  return {{"OlmoeForCausalLM", "olmoe", read, {rows<Experts::separate>, rows<Experts::fused>}}};
}

}  // namespace lenswright
