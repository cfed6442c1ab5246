#include "spec/families/llama_like.h"

#include <stdexcept>

#include "spec/families/common.h"

namespace lenswright {
namespace {

int64_t read_d_head(ConfigReader& config, const LlamaLike& usual, const Spec& spec) {
  const int64_t shared = spec.d_model / spec.n_heads;
  if (config.absent("head_dim")) return usual.d_head > 0 ? usual.d_head : shared;
  return usual.null_is_shared ? config.size("head_dim", shared) : config.size("head_dim");
}

int64_t read_kv_heads(ConfigReader& config, const LlamaLike& usual, const Spec& spec) {
  const bool usual_one = config.absent("num_key_value_heads") && usual.kv_heads > 0;
  return config.size("num_key_value_heads", usual_one ? usual.kv_heads : spec.n_heads);
}

void fused_or_single(Rows& rows, const std::string& to, const std::string& from, const Spec& spec,
                     const std::string& fused) {
  if (fused.empty()) {
    self_attention(rows, to, from, spec);
    return;
  }
  const int64_t q = spec.n_heads * spec.d_head, kv = spec.n_kv_heads * spec.d_head;
  rows.parts({to + "attn.W_Q", to + "attn.W_K", to + "attn.W_V"}, from + fused + ".weight",
             {q, kv, kv}, spec.d_model);
  linear(rows, to + "attn.", "O", from + "self_attn.o_proj", spec.d_model, q, spec.biases.out);
}

void norm_rows(Rows& rows, const std::string& canonical, const std::string& source, int64_t size,
               const LlamaNames& names) {
  if (names.biased_norms) return biased_norm(rows, canonical, source, size);
  rows.vector(canonical + ".w", source + ".weight", size);
}

void qk_norms(Rows& rows, const std::string& to, const std::string& from, const Spec& spec,
              const LlamaNames& names) {
  if (spec.qk_norm == QkNorm::none || names.q_norm.empty()) return;
  const bool flat = spec.qk_norm == QkNorm::flat;
  const int64_t q = flat ? spec.n_heads : 1, k = flat ? spec.n_kv_heads : 1;
  norm_rows(rows, to + "attn.q_norm", from + names.q_norm, q * spec.d_head, names);
  norm_rows(rows, to + "attn.k_norm", from + names.k_norm, k * spec.d_head, names);
}

}  // namespace

Spec read_llama_like_sizes(ConfigReader& config, const LlamaLike& usual) {
  Spec spec;
  spec.family = usual.family;
  spec.n_layers = config.size("num_hidden_layers");
  spec.d_model = config.size("hidden_size");
  spec.n_heads = config.size("num_attention_heads");
  spec.n_kv_heads = read_kv_heads(config, usual, spec);
  spec.d_head = read_d_head(config, usual, spec);
  spec.d_mlp = config.size("intermediate_size");
  spec.d_vocab = config.size("vocab_size");
  spec.n_ctx = config.size("max_position_embeddings", usual.n_ctx);
  const bool told = !usual.eps_key.empty();
  spec.norm = {usual.norm, told ? config.number(usual.eps_key, usual.eps) : usual.eps};
  spec.activation = activation_from_name(config.text(usual.activation_key, usual.activation));
  spec.same_layers(usual_scale(spec));
  spec.tied = config.flag("tie_word_embeddings", usual.tied);
  harmless_in_training(config);
  config.harmless({"attention_bias", "mlp_bias"});
  return spec;
}

Spec read_llama_like(ConfigReader& config, const LlamaLike& usual) {
  Spec spec = read_llama_like_sizes(config, usual);
  spec.ropes = {read_rope(config, spec.d_head, spec.n_ctx, usual.rope)};
  return spec;
}

Biases llama_biases(ConfigReader& config) {
  const bool attention = config.flag("attention_bias", false);
  return {attention, attention, config.flag("mlp_bias", false)};
}

Biases attention_biases(ConfigReader& config) {
  const bool attention = config.flag("attention_bias", false);
  return {attention, attention, false};
}

void norm_heads(Spec& spec) {
  spec.qk_norm = QkNorm::head;
  spec.qk_norms = spec.norm;
}

int64_t read_window(ConfigReader& config, int64_t otherwise) {
  if (config.absent("sliding_window")) return otherwise;
  return config.has("sliding_window") ? config.size("sliding_window") : 0;
}

int64_t read_needed_window(ConfigReader& config, int64_t otherwise) {
  const int64_t window = read_window(config, otherwise);
  if (window > 0) return window;
  throw std::invalid_argument("config.json: 'sliding_window' is null, expected a size");
}

std::vector<bool> sliding_layers(ConfigReader& config, const Spec& spec,
                                 const std::function<bool(int64_t)>& otherwise) {
  const Json types = config.object("layer_types");
  std::vector<bool> sliding;
  if (types.is_null()) {
    for (int64_t layer = 0; layer < spec.n_layers; ++layer) sliding.push_back(otherwise(layer));
    return sliding;
  }
  for (const Json& type : types.elements()) {
    const std::string name = type.as_string();
    sliding.push_back(name == "sliding_attention");
    if (sliding.back() || name == "full_attention" || name == "attention") continue;
    throw std::invalid_argument("config.json: 'layer_types' has '" + name +
                                "', expected full_attention or sliding_attention");
  }
  if (static_cast<int64_t>(sliding.size()) == spec.n_layers) return sliding;
  throw std::invalid_argument("config.json: 'layer_types' has " + std::to_string(sliding.size()) +
                              " entries, expected " + std::to_string(spec.n_layers) +
                              ", one for each layer");
}

void set_windows(Spec& spec, const std::vector<bool>& sliding, int64_t window) {
  for (size_t layer = 0; layer < sliding.size(); ++layer) {
    if (!sliding[layer]) continue;
    if (window == 0) {
      throw std::invalid_argument("config.json: 'sliding_window' is null, but layer " +
                                  std::to_string(layer) + " attends to a window");
    }
    spec.layers[layer].window = window;
  }
}

void same_windows(Spec& spec, int64_t window) {
  for (LayerSpec& layer : spec.layers) layer.window = window;
}

void dense_mlp_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& spec,
                    const LlamaNames& names) {
  const int64_t d = spec.d_model, width = spec.d_mlp;
  const bool biased = spec.biases.mlp;
  const std::string mlp = to + "mlp.";
  if (names.gate_up.empty()) {
    if (spec.gated) linear(rows, mlp, "gate", from + names.gate, width, d, biased);
    linear(rows, mlp, "in", from + names.up, width, d, biased);
  } else {
    rows.parts({mlp + "W_gate", mlp + "W_in"}, from + names.gate_up + ".weight", {width, width}, d);
  }
  linear(rows, mlp, "out", from + names.down, d, width, biased);
}

std::vector<Row> llama_like_rows(const Spec& spec, const LlamaNames& names, const MlpRows& mlp) {
  Rows rows;
  const int64_t d = spec.d_model;
  const auto norm = [&](const std::string& canonical, const std::string& from,
                        const std::string& name) {
    if (!name.empty()) norm_rows(rows, canonical, from + name, d, names);
  };
  rows.matrix("embed.W_E", "model.embed_tokens.weight", spec.d_vocab, d);
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) {
    const std::string to = block_prefix(layer);
    const std::string from = "model.layers." + std::to_string(layer) + ".";
    norm(to + "ln1", from, names.ln1);
    fused_or_single(rows, to, from, spec, names.qkv);
    qk_norms(rows, to, from, spec, names);
    norm(to + "ln1_post", from, names.ln1_post);
    norm(to + "ln2", from, names.ln2);
    if (mlp) {
      mlp(rows, to, from, layer);
    } else {
      dense_mlp_rows(rows, to, from, spec, names);
    }
    norm(to + "ln2_post", from, names.ln2_post);
  }
  norm("ln_final", "", names.ln_final);
  if (!spec.tied) rows.matrix("unembed.W_U", "lm_head.weight", spec.d_vocab, d);
  return rows.take();
}

}  // namespace lenswright
