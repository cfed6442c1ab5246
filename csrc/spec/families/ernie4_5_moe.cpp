// ERNIE 4.5 MoE: a softmax whose choice, but not whose weights, is corrected.
// Names and defaults: transformers, models/ernie4_5_moe/configuration_ernie4_5_moe.py.
#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

void read_mixture(Spec& spec, ConfigReader& config) {
  Routing& routing = spec.mixture.routing;
  routing.experts = size_under(config, {"moe_num_experts", "num_experts"}, 64);
  routing.chosen = size_under(config, {"moe_k", "num_experts_per_tok"}, 6);
  routing.renormalise = true;
  routing.renormalise_min = config.number("moe_norm_min", 1e-12);
  routing.wide = true;
  spec.mixture.d_mlp = config.size("moe_intermediate_size", 1536);
  spec.mixture.d_shared = spec.mixture.d_mlp * read_whole(config, "moe_num_shared_experts", 2);
  const int64_t first = read_whole(config, "moe_layer_start_index", 1);
  const int64_t end = read_whole(config, "moe_layer_end_index", -1);
  const int64_t last = end == -1 ? spec.n_layers - 1 : end;
  const int64_t step = config.size("moe_layer_interval", 1);
  set_mixtures(spec, [&](int64_t layer) {
    return (layer + 1) % step == 0 && layer >= first && layer <= last;
  });
  expect_text(config, "moe_gate_act", "softmax", "other routers are not known here");
  config.refuse("moe_use_hard_gate", "other routers are not known here");
  config.harmless({"moe_capacity", "moe_use_aux_free", "num_nextn_predict_layers"});
  harmless_in_mixtures(config);
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "ernie4_5_moe",
                                       .kv_heads = 4,
                                       .null_is_shared = true,
                                       .n_ctx = 131072,
                                       .eps = 1e-5,
                                       .tied = true,
                                       .rope = {.theta = 5e5, .layout = RopeLayout::adjacent}});
  read_mixture(spec, config);
  spec.biases = same_biases(config.flag("use_bias", false));
  spec.biases.head = spec.biases.out;
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

template <Experts experts>
std::vector<Row> rows(const Spec& s) {
  const std::vector<Row> rows = llama_like_rows(
      s, {}, [&](Rows& rows, const std::string& to, const std::string& from, int64_t layer) {
        if (!s.layers[static_cast<size_t>(layer)].mixture) return dense_mlp_rows(rows, to, from, s);
        const std::string mlp = from + "mlp.";
        const int64_t count = s.mixture.routing.experts;
        const std::string statics = experts == Experts::fused ? "gate.moe_statics" : "moe_statics";
        rows.matrix(to + "mlp.W_router", mlp + "gate.weight", count, s.d_model);
        rows.matrix(to + "mlp.router_correction", mlp + statics + ".e_score_correction_bias", 1,
                    count);
        expert_rows(rows, to, mlp + "experts.", s, experts);
        if (s.mixture.d_shared == 0) return;
        gated_rows(rows, to + "mlp.shared.", mlp + "shared_experts.", s.mixture.d_shared, s);
      });
  return with_head_bias(rows, s);
}

}  // namespace

std::vector<Family> ernie4_5_moe_families() {
  return {{"Ernie4_5_MoeForCausalLM",
           "ernie4_5_moe",
           read,
           {rows<Experts::separate>, rows<Experts::fused>},
           {},
           {"model.mtp*"}}};
}

}  // namespace lenswright
