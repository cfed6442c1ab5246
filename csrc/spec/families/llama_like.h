#pragma once

#include <functional>
#include <string>
#include <vector>

#include "spec/config_reader.h"
#include "spec/families/rope.h"
#include "spec/rows.h"
#include "spec/spec.h"

namespace lenswright {

// What families shaped like Llama have in common: keys of config.json, and tensors of a layer.

/// What such a family takes where its config.json is silent.
struct LlamaLike {
  std::string family;           // Spec::family
  int64_t kv_heads = 0;         // 0: as many as heads
  int64_t d_head = 0;           // 0: d_model / n_heads
  bool null_is_shared = false;  // head_dim may be null, which means d_model / n_heads
  int64_t n_ctx = 2048;
  NormKind norm = NormKind::rms;
  double eps = 1e-6;
  std::string eps_key = "rms_norm_eps";  // "": config.json does not say it
  std::string activation = "silu";
  std::string activation_key = "hidden_act";
  bool tied = false;
  RopeDefaults rope{};
};

/// Sizes, norm, activation, tying; every layer alike with the usual scale of scores. Biases, of
/// which there are none, and rotations are left to the caller, as are unknown keys.
Spec read_llama_like_sizes(ConfigReader& config, const LlamaLike& usual);

/// The same, and one kind of rotation in every layer.
Spec read_llama_like(ConfigReader& config, const LlamaLike& usual);

/// attention_bias says it of attention, mlp_bias of the MLP; neither has any where they are absent.
Biases llama_biases(ConfigReader& config);

/// The same where the MLP never has biases.
Biases attention_biases(ConfigReader& config);

/// Queries and keys are normed head by head, as the residual is.
void norm_heads(Spec& spec);

/// sliding_window: 0 where it is null, `otherwise` where there is no such key.
int64_t read_window(ConfigReader& config, int64_t otherwise);

/// Which layers see a window only: layer_types says it, else this function of the layer's number.
std::vector<bool> sliding_layers(ConfigReader& config, const Spec& spec,
                                 const std::function<bool(int64_t)>& otherwise);

/// The same where transformers needs one, whether or not a layer slides.
int64_t read_needed_window(ConfigReader& config, int64_t otherwise);

/// Throws std::invalid_argument where a layer slides and the window is 0.
void set_windows(Spec& spec, const std::vector<bool>& sliding, int64_t window);

/// One window in every layer; 0: none.
void same_windows(Spec& spec, int64_t window);

/// Names of tensors within a layer, without ".weight"; "": a layer has no such tensor.
struct LlamaNames {
  std::string ln1 = "input_layernorm", ln1_post{};
  std::string ln2 = "post_attention_layernorm", ln2_post{};
  std::string q_norm = "self_attn.q_norm", k_norm = "self_attn.k_norm";  // where the spec has them
  std::string qkv{};  // queries, keys and values in one
  std::string gate = "mlp.gate_proj", up = "mlp.up_proj", down = "mlp.down_proj";
  std::string gate_up{};  // gate and up in one
  std::string ln_final = "model.norm";
  bool biased_norms = false;  // every norm has a bias, too
};

/// Rows of one layer's MLP: `to` is "blocks.3.", `from` "model.layers.3.".
using MlpRows =
    std::function<void(Rows& rows, const std::string& to, const std::string& from, int64_t layer)>;

/// Gate (where the spec is gated), up and down.
void dense_mlp_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& spec,
                    const LlamaNames& names = {});

/// Every row of such a model; `mlp` instead of the dense MLP.
std::vector<Row> llama_like_rows(const Spec& spec, const LlamaNames& names = {},
                                 const MlpRows& mlp = nullptr);

}  // namespace lenswright
