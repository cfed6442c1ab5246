// DeepSeek-V2 and V3: latent attention and mixtures with experts that every token passes.
// Names and defaults: transformers, models/deepseek_v2/configuration_deepseek_v2.py,
// models/deepseek_v3/configuration_deepseek_v3.py.
#include <cmath>
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// Long contexts sharpen the scores: mscale_all_dim and factor of a scaled rotation.
double sharpening(ConfigReader& config, const Rope& rope) {
  double all = 0.0;
  for (const char* where : {"rope_parameters", "rope_scaling"}) {
    const Json given = config.object(where);
    if (!given.contains("mscale_all_dim") || given.at("mscale_all_dim").is_null()) continue;
    all = given.at("mscale_all_dim").as_double();
  }
  if (rope.scaling == RopeScaling::plain || rope.factor <= 1.0) return 1.0;
  return 0.1 * all * std::log(rope.factor) + 1.0;
}

void read_latent(Spec& spec, ConfigReader& config, RopeLayout layout) {
  const int64_t plain = config.size("qk_nope_head_dim", 128);
  const int64_t turning = config.size("qk_rope_head_dim", 64);
  spec.d_head = plain + turning;
  spec.d_value = config.size("v_head_dim", 128);
  spec.latent.kv_rank = config.size("kv_lora_rank", 512);
  const bool direct = !config.absent("q_lora_rank") && !config.has("q_lora_rank");
  spec.latent.q_rank = direct ? 0 : config.size("q_lora_rank", 1536);
  spec.latent.norm = {NormKind::rms, 1e-6};  // whatever rms_norm_eps is
  if (spec.n_kv_heads != spec.n_heads) {
    throw std::invalid_argument(
        "config.json: 'num_key_value_heads' is not 'num_attention_heads', but latent attention has "
        "keys and values for every head");
  }
  Rope rope = read_rope(config, turning, spec.n_ctx, {.layout = layout});
  rope.start = plain;
  spec.ropes = {rope};
  const double sharp = sharpening(config, rope);
  spec.same_layers(usual_scale(spec) * sharp * sharp);
  config.harmless({"head_dim", "qk_head_dim"});  // follow from the others
}

void read_shared(Spec& spec, ConfigReader& config, int64_t d_expert, int64_t shared) {
  spec.mixture.d_mlp = config.size("moe_intermediate_size", d_expert);
  spec.mixture.d_shared = spec.mixture.d_mlp * read_whole(config, "n_shared_experts", shared);
  expect_number(config, "moe_layer_freq", 1.0, "other layouts of the layers are not known");
  harmless_in_mixtures(config);
}

Spec read_v2(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like_sizes(config, {.family = "deepseek_v2"});
  read_latent(spec, config, RopeLayout::adjacent);
  Routing& routing = spec.mixture.routing;
  routing.experts = size_under(config, {"n_routed_experts", "num_experts"}, 64);
  routing.chosen = config.size("num_experts_per_tok");
  routing.scale = config.number("routed_scaling_factor", 1.0);
  routing.wide = true;
  config.harmless({"n_group", "topk_group"});
  if (config.text("topk_method", "greedy") == "group_limited_greedy") {
    routing.groups = config.size("n_group");
    routing.chosen_groups = config.size("topk_group");
  } else {
    expect_text(config, "topk_method", "greedy", "or group_limited_greedy");
  }
  expect_flag(config, "norm_topk_prob", false, "implementations of true disagree about the scale");
  expect_text(config, "scoring_func", "softmax", "other routers are not known here");
  read_shared(spec, config, 1407, 2);
  mixtures_after_dense(spec, config, 0);
  spec.biases = llama_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_v3(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like_sizes(config, {.family = "deepseek_v3", .n_ctx = 4096});
  const bool adjacent = config.flag("rope_interleave", true);
  read_latent(spec, config, adjacent ? RopeLayout::adjacent_apart : RopeLayout::half);
  spec.mixture.routing = read_sigmoid_routing(
      config, {.experts = 256, .chosen = 8, .groups = 8, .chosen_groups = 4, .scale = 2.5});
  expect_text(config, "scoring_func", "sigmoid", "other routers are not known here");
  expect_text(config, "topk_method", "noaux_tc", "other choices are not known here");
  read_shared(spec, config, 2048, 1);
  mixtures_after_dense(spec, config, 3);
  spec.biases = attention_biases(config);
  leave_next_token_layers(spec, config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

void latent_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& s) {
  const int64_t d = s.d_model, heads = s.n_heads, turning = s.ropes[0].dim;
  const int64_t plain = s.d_head - turning, rank = s.latent.q_rank, kv = s.latent.kv_rank;
  if (rank > 0) {
    linear(rows, to, "DQ", from + "q_a_proj", rank, d, s.biases.qkv);
    rows.vector(to + "q_latent_norm.w", from + "q_a_layernorm.weight", rank);
    rows.matrix(to + "W_Q", from + "q_b_proj.weight", heads * s.d_head, rank);
  } else {
    rows.matrix(to + "W_Q", from + "q_proj.weight", heads * s.d_head, d);
  }
  linear(rows, to, "DKV", from + "kv_a_proj_with_mqa", kv + turning, d, s.biases.qkv);
  rows.vector(to + "kv_latent_norm.w", from + "kv_a_layernorm.weight", kv);
  rows.interleaved({to + "W_K", to + "W_V"}, from + "kv_b_proj.weight", {plain, s.d_value}, heads,
                   kv);
  linear(rows, to, "O", from + "o_proj", d, heads * s.d_value, s.biases.out);
}

template <Experts experts>
std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model;
  rows.matrix("embed.W_E", "model.embed_tokens.weight", s.d_vocab, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer);
    const std::string from = "model.layers." + std::to_string(layer) + ".";
    rows.vector(to + "ln1.w", from + "input_layernorm.weight", d);
    latent_rows(rows, to + "attn.", from + "self_attn.", s);
    rows.vector(to + "ln2.w", from + "post_attention_layernorm.weight", d);
    if (s.layers[static_cast<size_t>(layer)].mixture) {
      corrected_rows(rows, to, from + "mlp.", s, experts);
    } else {
      dense_mlp_rows(rows, to, from, s);
    }
  }
  rows.vector("ln_final.w", "model.norm.weight", d);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

}  // namespace

std::vector<Family> deepseek_families() {
  const std::vector<Family::RowsOf> both = {rows<Experts::separate>, rows<Experts::fused>};
  return {{"DeepseekV2ForCausalLM", "deepseek_v2", read_v2, both, {}, kRotaryTables},
          {"DeepseekV3ForCausalLM", "deepseek_v3", read_v3, both, {}, kRotaryTables}};
}

}  // namespace lenswright
