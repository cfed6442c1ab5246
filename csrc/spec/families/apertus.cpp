// Apertus: norms of queries and keys, an MLP without a gate whose activation has weights.
// Names and defaults: transformers, models/apertus/configuration_apertus.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

constexpr const char* kUsualRope = R"({"rope_type": "llama3", "rope_theta": 12000000.0,
  "factor": 8.0, "original_max_position_embeddings": 8192, "low_freq_factor": 1.0,
  "high_freq_factor": 4.0})";

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "apertus",
                                       .n_ctx = 65536,
                                       .eps = 1e-5,
                                       .activation = "xielu",
                                       .rope = {.theta = 1.2e7, .parameters = kUsualRope}});
  spec.gated = false;
  norm_heads(spec);
  // Keys of published configs that transformers leaves unread: they say what it does.
  expect_flag(config, "qk_norm", true, "queries and keys are normed in this family");
  expect_flag(config, "post_norm", false, "norms come first in this family");
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& spec) {
  const auto mlp = [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
    dense_mlp_rows(rows, to, from, spec);
    if (spec.activation != Activation::xielu) return;
    const std::string act = from + "mlp.act_fn.";
    rows.vector(to + "mlp.alpha_p", act + "alpha_p", 1);
    rows.vector(to + "mlp.alpha_n", act + "alpha_n", 1);
    rows.scalar(to + "mlp.beta", act + "beta");
    rows.scalar(to + "mlp.eps", act + "eps");
  };
  return llama_like_rows(spec, {.ln1 = "attention_layernorm", .ln2 = "feedforward_layernorm"}, mlp);
}

}  // namespace

std::vector<Family> apertus_families() { return {{"ApertusForCausalLM", "apertus", read, {rows}}}; }

}  // namespace lenswright
