// StableLM 3B, 2 and Zephyr: Llama with LayerNorms and heads that rotate in part; some sizes norm
// each head of queries and keys with gains of its own.
// Names and defaults: transformers, models/stablelm/configuration_stablelm.py.
#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"

namespace lenswright {
namespace {

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "stablelm",
                                       .kv_heads = 32,
                                       .null_is_shared = true,
                                       .n_ctx = 4096,
                                       .norm = NormKind::layer,
                                       .eps = 1e-5,
                                       .eps_key = "layer_norm_eps",
                                       .rope = {.partial = 0.25, .may_be_partial = true}});
  expect_shared_width(spec, config);
  spec.parallel = spec.shared_norm = config.flag("use_parallel_residual", false);
  if (config.flag("qk_layernorm", false)) spec.qk_norm = QkNorm::head;
  spec.qk_norms = {NormKind::layer, spec.norm.eps, 0.0, /*wide_gain=*/true};
  spec.biases = {config.flag("use_qkv_bias", false), false, false};
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

void head_norms(Rows& rows, const std::string& to, const std::string& from, int64_t heads,
                int64_t size) {
  for (int64_t head = 0; head < heads; ++head) {
    const std::string which = std::to_string(head);
    rows.vector(to + "." + which + ".w", from + ".norms." + which + ".weight", size);
  }
}

std::vector<Row> rows(const Spec& s) {
  const LlamaNames names = {.ln2 = s.parallel ? "" : "post_attention_layernorm",
                            .q_norm = "",
                            .k_norm = "",
                            .biased_norms = true};
  return llama_like_rows(
      s, names, [&](Rows& rows, const std::string& to, const std::string& from, int64_t) {
        if (s.qk_norm != QkNorm::none) {
          const std::string norms = from + "self_attn.";
          head_norms(rows, to + "attn.q_norm", norms + "q_layernorm", s.n_heads, s.d_head);
          head_norms(rows, to + "attn.k_norm", norms + "k_layernorm", s.n_kv_heads, s.d_head);
        }
        dense_mlp_rows(rows, to, from, s);
      });
}

}  // namespace

std::vector<Family> stablelm_families() {
  return {{"StableLmForCausalLM", "stablelm", read, {rows}, {}, kRotaryTables}};
}

}  // namespace lenswright
