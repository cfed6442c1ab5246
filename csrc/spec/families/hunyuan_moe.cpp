// Hunyuan's mixtures: norms of queries and keys after rotation, an expert that every token passes.
// Names and defaults: transformers, models/hunyuan_v1_moe/configuration_hunyuan_v1_moe.py.
#include <algorithm>
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/hunyuan.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// A number, or one for each layer.
std::vector<int64_t> by_layer(ConfigReader& config, const std::string& key, int64_t otherwise,
                              int64_t layers) {
  const Json value = config.object(key);
  std::vector<int64_t> list;
  if (value.is_array()) {
    for (const Json& one : value.elements()) list.push_back(one.as_int());
  } else {
    list.assign(static_cast<size_t>(layers), value.is_null() ? otherwise : value.as_int());
  }
  if (static_cast<int64_t>(list.size()) == layers) return list;
  throw std::invalid_argument("config.json: '" + key + "' has " + std::to_string(list.size()) +
                              " numbers, expected " + std::to_string(layers) +
                              ", one for each layer");
}

// Keys of published configs that transformers leaves unread: their values must say what it does.
void expect_published(Spec& spec, ConfigReader& config) {
  const char* why = "which is not known here";
  expect_flag(config, "use_qk_norm", true, why);
  expect_flag(config, "use_cla", false, why);
  expect_flag(config, "use_mixed_mlp_moe", true, why);
  expect_flag(config, "use_mla", false, why);
  expect_number(config, "moe_layer_num_skipped", 0.0, why);
  const auto all = [&](const char* key, int64_t expected) {
    for (const int64_t value : by_layer(config, key, expected, spec.n_layers)) {
      if (value == expected) continue;
      throw std::invalid_argument("config.json: '" + std::string(key) + "' has " +
                                  std::to_string(value) + ", expected " + std::to_string(expected) +
                                  " in every layer");
    }
  };
  expect_flag(config, "norm_topk_prob", true, why);
  expect_flag(config, "use_rotary_pos_emb", true, why);
  expect_text(config, "norm_type", "rms", why);
  for (const char* key :
       {"add_classification_head", "group_limited_greedy", "kv_lora_rank", "moe_drop_tokens",
        "moe_random_routing_dropped_token", "n_group", "position_embedding_xdrope", "q_lora_rank",
        "qk_nope_head_dim", "qk_rope_head_dim", "routed_scaling_factor", "topk_group", "v_head_dim",
        "xdrope_section"}) {
    config.refuse(key, why);
  }
  config.harmless({"cla_share_factor", "class_num", "eod_token_id", "org_vocab_size", "pool_type"});
  all("num_shared_expert", 1);
  all("moe_intermediate_size", spec.d_mlp);
  if (config.has("attention_head_dim")) {
    expect_number(config, "attention_head_dim", static_cast<double>(spec.d_head),
                  "as 'head_dim' says");
  }
}

void read_mixture(Spec& spec, ConfigReader& config) {
  Routing& routing = spec.mixture.routing;
  routing.experts = config.size("num_experts", 1);
  const std::vector<int64_t> chosen =
      by_layer(config, config.has("num_experts_per_tok") ? "num_experts_per_tok" : "moe_topk", 1,
               spec.n_layers);
  config.harmless({"moe_topk"});
  routing.chosen = *std::max_element(chosen.begin(), chosen.end());
  routing.renormalise = true;
  routing.wide = true;
  spec.mixture.d_mlp = spec.mixture.d_shared = spec.d_mlp;
  set_mixtures(spec, [](int64_t) { return true; });
  for (size_t layer = 0; layer < chosen.size(); ++layer) spec.layers[layer].chosen = chosen[layer];
  harmless_in_mixtures(config);
}

Spec read(const Json& json) {
  ConfigReader config(json);
  config.size("head_dim");  // transformers derives none here
  Spec spec = read_llama_like_sizes(config, {.family = "hunyuan_v1_moe", .eps = 1e-5});
  spec.ropes = {read_alpha_rope(config, spec.d_head, spec.n_ctx)};
  norm_heads(spec);
  spec.qk_norm_after_rope = true;
  read_mixture(spec, config);
  expect_published(spec, config);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

template <Experts experts>
std::vector<Row> rows(const Spec& s) {
  return llama_like_rows(
      s, {.q_norm = "self_attn.query_layernorm", .k_norm = "self_attn.key_layernorm"},
      [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
        const std::string mlp = from + "mlp.";
        rows.matrix(to + "mlp.W_router", mlp + "gate.wg.weight", s.mixture.routing.experts,
                    s.d_model);
        expert_rows(rows, to, mlp + "experts.", s, experts);
        gated_rows(rows, to + "mlp.shared.", mlp + "shared_mlp.", s.mixture.d_shared, s);
      });
}

}  // namespace

std::vector<Family> hunyuan_moe_families() {
  return {{"HunYuanMoEV1ForCausalLM",
           "hunyuan_v1_moe",
           read,
           {rows<Experts::separate>, rows<Experts::fused>},
           {},
           kRotaryTables}};
}

}  // namespace lenswright
