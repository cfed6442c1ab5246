#include "spec/families/common.h"

#include <cmath>
#include <stdexcept>

namespace lenswright {
namespace {

[[noreturn]] void unexpected(std::string_view key, const std::string& value,
                             const std::string& expected, std::string_view why) {
  throw std::invalid_argument("config.json: '" + std::string(key) + "' is " + value +
                              ", expected " + expected + "; " + std::string(why));
}

}  // namespace

int64_t size_under(ConfigReader& config, const std::vector<std::string>& names, int64_t otherwise) {
  config.harmless(names);
  for (const std::string& name : names) {
    if (config.has(name)) return config.size(name);
  }
  return otherwise;
}

void check_width(const Spec& spec) {
  if (spec.d_model % spec.n_heads == 0) return;
  throw std::invalid_argument("config.json: the width, " + std::to_string(spec.d_model) +
                              ", is no multiple of the number of heads, " +
                              std::to_string(spec.n_heads));
}

void expect_shared_width(const Spec& spec, ConfigReader& config) {
  check_width(spec);
  expect_number(config, "head_dim", static_cast<double>(spec.d_model / spec.n_heads),
                "heads share the width in this family");
}

void share_width(Spec& spec) {
  check_width(spec);
  spec.d_head = spec.d_model / spec.n_heads;
  spec.n_kv_heads = spec.n_heads;
}

Biases same_biases(bool biased) { return {biased, biased, biased}; }

double usual_scale(const Spec& spec) { return 1.0 / std::sqrt(static_cast<double>(spec.d_head)); }

void read_sizes(Spec& spec, ConfigReader& config) {
  spec.n_layers = config.size("num_hidden_layers");
  spec.d_model = config.size("hidden_size");
  spec.n_heads = config.size("num_attention_heads");
  spec.d_mlp = config.size("intermediate_size");
  spec.d_vocab = config.size("vocab_size");
  spec.n_ctx = config.size("max_position_embeddings");
  share_width(spec);
}

void harmless_in_training(ConfigReader& config) {
  config.harmless({"activation_dropout",
                   "attention_dropout",
                   "attn_pdrop",
                   "classifier_dropout",
                   "dropout",
                   "embd_pdrop",
                   "embed_dropout",
                   "embedding_dropout",
                   "emb_pdrop",
                   "hidden_dropout",
                   "init_std",
                   "layerdrop",
                   "resid_dropout",
                   "resid_pdrop",
                   "residual_dropout",
                   "summary_activation",
                   "summary_first_dropout",
                   "summary_proj_to_labels",
                   "summary_type",
                   "summary_use_proj",
                   "gradient_checkpointing",
                   "pretraining_tp",
                   "_attn_implementation",
                   "attn_implementation"});
}

void expect_flag(ConfigReader& config, std::string_view key, bool value, std::string_view why) {
  if (config.flag(key, value) == value) return;
  unexpected(key, value ? "false" : "true", value ? "true" : "false", why);
}

void expect_number(ConfigReader& config, std::string_view key, double value, std::string_view why) {
  if (config.number(key, value) == value) return;
  unexpected(key, config.object(key).dump(), Json(value).dump(), why);
}

void expect_text(ConfigReader& config, std::string_view key, std::string_view value,
                 std::string_view why) {
  const std::string expected(value), found = config.text(key, expected);
  if (found != expected) unexpected(key, "'" + found + "'", "'" + expected + "'", why);
}

std::string block_prefix(int64_t layer) { return "blocks." + std::to_string(layer) + "."; }

void biased_linear(Rows& rows, const std::string& prefix, const std::string& part,
                   const std::string& source, int64_t outputs, int64_t inputs, Layout layout) {
  rows.matrix(prefix + "W_" + part, source + ".weight", outputs, inputs, layout);
  rows.vector(prefix + "b_" + part, source + ".bias", outputs);
}

void biased_norm(Rows& rows, const std::string& canonical, const std::string& source,
                 int64_t size) {
  rows.vector(canonical + ".w", source + ".weight", size);
  rows.vector(canonical + ".b", source + ".bias", size);
}

void linear(Rows& rows, const std::string& prefix, const std::string& part,
            const std::string& source, int64_t outputs, int64_t inputs, bool may_be_biased) {
  if (may_be_biased) {
    rows.linear(prefix, part, source, outputs, inputs);
  } else {
    rows.matrix(prefix + "W_" + part, source + ".weight", outputs, inputs);
  }
}

void self_attention(Rows& rows, const std::string& to, const std::string& from, const Spec& spec) {
  const int64_t q = spec.n_heads * spec.d_head, kv = spec.n_kv_heads * spec.d_head;
  const std::string attn = to + "attn.", source = from + "self_attn.";
  const Biases& biased = spec.biases;
  linear(rows, attn, "Q", source + "q_proj", q, spec.d_model, biased.qkv);
  linear(rows, attn, "K", source + "k_proj", kv, spec.d_model, biased.qkv);
  linear(rows, attn, "V", source + "v_proj", kv, spec.d_model, biased.qkv);
  linear(rows, attn, "O", source + "o_proj", spec.d_model, q, biased.out);
}

}  // namespace lenswright
