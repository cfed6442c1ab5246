// Hunyuan, dense: norms of queries and keys after rotation.
// Names and defaults: transformers, models/hunyuan_v1_dense/configuration_hunyuan_v1_dense.py.
#include "spec/families/hunyuan.h"

#include <cmath>

#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

// Keys of published configs that transformers leaves unread: their values must say what it does.
void expect_published(ConfigReader& config) {
  const char* why = "another value asks for what is not known here";
  expect_flag(config, "use_qk_norm", true, why);
  expect_flag(config, "use_cla", false, why);
  expect_flag(config, "use_rotary_pos_emb", true, why);
  expect_flag(config, "position_embedding_xdrope", false, why);
  expect_text(config, "norm_type", "rms", why);
  expect_number(config, "num_experts", 1.0, why);
  config.harmless({"add_classification_head", "attention_head_dim", "cla_share_factor", "class_num",
                   "dense_list", "eod_token_id", "im_end_id", "im_newline_id", "im_start_id",
                   "image_token_id", "mask_init_id", "org_vocab_size", "pad_id", "pool_type",
                   "sep_token_id", "text_end_id", "text_start_id"});
}

Spec read(const Json& json) {
  ConfigReader config(json);
  config.size("head_dim");  // transformers derives none here
  Spec spec = read_llama_like_sizes(config, {.family = "hunyuan_v1_dense", .eps = 1e-5});
  spec.ropes = {read_alpha_rope(config, spec.d_head, spec.n_ctx)};
  norm_heads(spec);
  spec.qk_norm_after_rope = true;
  expect_published(config);
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) {
  return llama_like_rows(
      spec, {.q_norm = "self_attn.query_layernorm", .k_norm = "self_attn.key_layernorm"});
}

}  // namespace

Rope read_alpha_rope(ConfigReader& config, int64_t d_head, int64_t n_ctx) {
  const RopeDefaults defaults = {.more_keys = {"alpha"}};
  Rope rope = read_rope(config, d_head, n_ctx, defaults);
  const Json given = rope_parameters(config, defaults);
  const bool has = given.contains("alpha") && !given.at("alpha").is_null();
  const double alpha = has ? given.at("alpha").as_double() : 0.0;
  if (alpha == 0.0 || rope.scaling != RopeScaling::dynamic) return rope;
  const double dim = static_cast<double>(rope.dim);
  rope.theta *= std::pow(alpha, dim / (dim - 2.0));
  rope.scaling = RopeScaling::plain;
  return rope;
}

std::vector<Family> hunyuan_families() {
  return {{"HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense", read, {rows}}};
}

}  // namespace lenswright
