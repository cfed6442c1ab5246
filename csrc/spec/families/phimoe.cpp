// Phi-3.5-MoE: Mixtral's names, LayerNorm, sparsemixer, longrope with factors of its own.
// Names and defaults: transformers, models/phimoe/configuration_phimoe.py.
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// Cosines and sines are multiplied by short_mscale, and beyond the original length by long_mscale:
// there transformers 5.23 keeps the short factors and the authors' code takes the long ones, so
// such rows are refused.
void read_rotation(Spec& spec, ConfigReader& config) {
  Rope rope = read_rope(config, spec.d_head, spec.n_ctx,
                        {.theta = 1e6, .more_keys = {"short_mscale", "long_mscale"}});
  if (rope.scaling == RopeScaling::longrope) {
    rope.attention_factor = 0.0;
    for (const char* where : {"rope_parameters", "rope_scaling"}) {
      const Json given = config.object(where);
      if (given.contains("short_mscale"))
        rope.attention_factor = given.at("short_mscale").as_double();
    }
    if (rope.attention_factor <= 0.0) {
      throw std::invalid_argument(
          "config.json: 'rope_scaling.short_mscale' is missing, which phimoe's longrope needs");
    }
    spec.longest_row = rope.original_ctx;
  } else if (rope.scaling != RopeScaling::plain) {
    throw std::invalid_argument("config.json: 'rope_scaling.rope_type' is '" +
                                std::string(name_of(rope.scaling)) +
                                "', expected default or longrope in family phimoe");
  }
  spec.ropes = {rope};
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like_sizes(
      config,
      {.family = "phimoe", .kv_heads = 8, .n_ctx = 131072, .norm = NormKind::layer, .eps = 1e-5});
  read_rotation(spec, config);
  same_windows(spec, read_window(config, 0));
  Routing& routing = spec.mixture.routing;
  routing.router = Router::sparsemixer;
  routing.experts = size_under(config, {"num_local_experts", "num_experts"}, 16);
  routing.chosen = 2;
  routing.jitter = config.number("router_jitter_noise", 0.01);
  expect_number(config, "num_experts_per_tok", 2.0, "sparsemixer chooses two");
  spec.mixture.d_mlp = spec.d_mlp;
  set_mixtures(spec, [](int64_t) { return true; });
  harmless_in_mixtures(config);
  spec.biases = attention_biases(config);
  spec.biases.head = config.flag("lm_head_bias", false);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

template <Experts experts>
std::vector<Row> rows(const Spec& s) {
  const std::vector<Row> rows = llama_like_rows(
      s, {.biased_norms = true},
      [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
        const bool apart = experts == Experts::separate;
        rows.matrix(to + "mlp.W_router",
                    from + (apart ? "block_sparse_moe.gate.weight" : "mlp.router.weight"),
                    s.mixture.routing.experts, s.d_model);
        expert_rows(rows, to, from + (apart ? "block_sparse_moe." : "mlp.") + "experts.", s,
                    experts, {"w1", "w3", "w2"});
      });
  return with_head_bias(rows, s);
}

}  // namespace

std::vector<Family> phimoe_families() {
  const Family family{
      "PhimoeForCausalLM", "phimoe", read, {rows<Experts::separate>, rows<Experts::fused>}, {},
      kRotaryTables};
  Family published = family;  // files keep the name that the authors' own code has
  published.architecture = "PhiMoEForCausalLM";
  return {family, published};
}

}  // namespace lenswright
