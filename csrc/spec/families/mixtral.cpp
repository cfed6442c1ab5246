// Mixtral: Llama with a mixture in every layer.
// Names and defaults: transformers, models/mixtral/configuration_mixtral.py.
#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "mixtral",
                                       .kv_heads = 8,
                                       .null_is_shared = true,
                                       .n_ctx = 131072,
                                       .eps = 1e-5,
                                       .rope = {.theta = 1e6}});
  same_windows(spec, read_window(config, 0));
  Routing& routing = spec.mixture.routing;
  routing.experts = size_under(config, {"num_local_experts", "num_experts"}, 8);
  routing.chosen = config.size("num_experts_per_tok", 2);
  routing.renormalise = true;
  spec.mixture.d_mlp = spec.d_mlp;
  set_mixtures(spec, [](int64_t) { return true; });
  harmless_in_mixtures(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

template <Experts experts>
std::vector<Row> rows(const Spec& s) {
  return llama_like_rows(
      s, {}, [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
        const bool apart = experts == Experts::separate;
        const std::string mlp = from + (apart ? "block_sparse_moe." : "mlp.");
        rows.matrix(to + "mlp.W_router", mlp + "gate.weight", s.mixture.routing.experts, s.d_model);
        expert_rows(rows, to, mlp + "experts.", s, experts, {"w1", "w3", "w2"});
      });
}

}  // namespace

std::vector<Family> mixtral_families() {
  return {{"MixtralForCausalLM",
           "mixtral",
           read,
           {rows<Experts::separate>, rows<Experts::fused>},
           {},
           kRotaryTables}};
}

}  // namespace lenswright
