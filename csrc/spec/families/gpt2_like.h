#pragma once

#include <string>
#include <vector>

#include "spec/config_reader.h"
#include "spec/rows.h"
#include "spec/spec.h"

namespace lenswright {

// What families shaped like GPT-2 have in common: keys of config.json, and tensors of a layer.

/// The keys such a family has its sizes under, the first that is there, and what it takes where its
/// config.json is silent. The MLP is four times as wide as the model.
struct Gpt2Like {
  using Keys = std::vector<std::string>;

  std::string family;  // Spec::family
  Keys layers_keys = {"n_layer", "num_hidden_layers"};
  Keys width_keys = {"n_embd", "hidden_size"};
  Keys heads_keys = {"n_head", "num_attention_heads"};
  Keys mlp_keys = {"n_inner"};
  Keys context_keys = {"n_positions", "max_position_embeddings"};
  int64_t n_layers = 12, d_model = 768, n_heads = 12, d_vocab = 50257, n_ctx = 1024;
  std::string activation = "gelu_new";
  bool tied = true;
};

/// Sizes, norm, activation, tying; learned positions. The scale of scores is left to the caller, as
/// are unknown keys.
Spec read_gpt2_like(ConfigReader& config, const Gpt2Like& usual);

/// Rows of one layer's queries, keys and values: `to` is "blocks.3.attn.", `from`
/// "transformer.h.3.attn.".
using ProjectionRows = void (*)(Rows& rows, const std::string& to, const std::string& from,
                                const Spec& spec);

/// Every row of such a model; `out` names what attention writes with, within attn., and `layout`
/// says how it and the MLP lie.
std::vector<Row> gpt2_like_rows(const Spec& spec, ProjectionRows projections,
                                const std::string& out = "c_proj", Layout layout = Layout::out_in);

}  // namespace lenswright
