#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/arithmetic.h"

namespace lenswright {

enum class PositionKind : uint8_t { none, learned, sinusoidal, alibi, rope };

/// Where a branch's norms stand. before: on its input; after: on its output; around: both; behind:
/// on the residual once the branch has been added.
enum class NormPlacement : uint8_t { before, after, around, behind };

/// Norms of queries and keys: none, of each head, or of all heads as one vector.
enum class QkNorm : uint8_t { none, head, flat };

/// What one layer computes otherwise than its neighbours.
struct LayerSpec {
  double score_scale = 1.0;  // multiplies q·k
  int64_t window = 0;        // see AttentionRule
  int64_t chunk = 0;
  int rope = 0;          // which of Spec::ropes turns its queries and keys; -1: none
  bool mixture = false;  // a mixture of experts stands in the MLP's place
  int64_t chosen = 0;    // experts a token goes to there; 0: Routing::chosen
};

/// Low-rank attention (DeepSeek-AI 2024, arXiv:2405.04434, section 2.1): the compressed sizes.
struct Latent {
  int64_t q_rank = 0;   // 0: queries are projected directly
  int64_t kv_rank = 0;  // 0: no latent attention
  Norm norm;
};

/// Queries grow with their position p: by 1 + beta · ln(1 + floor((p + offset) / step)).
struct QueryGrowth {
  double beta = 0.0;  // 0: they do not
  int64_t step = 1;
  int64_t offset = 0;
  bool unrotated_only = false;  // in layers that do not rotate
};

/// A mixture's experts beyond their routing.
struct Mixture {
  Routing routing;
  int64_t d_mlp = 0;         // of one expert
  int64_t d_shared = 0;      // of the expert every token passes; 0: there is none
  bool shared_gate = false;  // whose output is multiplied by sigmoid(x · w)
};

/// Which projections have biases where the checkpoint has them; others have none, whatever it has.
struct Biases {
  bool qkv = false, out = false, mlp = false;
  bool head = false;  // the unembedding
};

/// What a decoder computes, as plain numbers and enums: the block reads nothing else.
///
/// A new family fills these fields; where it needs arithmetic they cannot say, they grow by an enum
/// or a number, never by a name.
struct Spec {
  std::string family;  // where the numbers came from; shown to people, read by no arithmetic

  int64_t n_layers = 0;
  int64_t d_model = 0;
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t d_head = 0;
  int64_t d_value = 0;  // of one head's values; 0 until a family sets it: d_head
  int64_t d_mlp = 0;
  int64_t d_vocab = 0;
  int64_t n_ctx = 0;
  std::vector<LayerSpec> layers;

  Norm norm;
  NormPlacement norms = NormPlacement::before;
  bool plain_norms = false;  // the residual's have neither gain nor bias, whatever the file has
  bool final_norm = true;
  bool parallel = false;        // attention and MLP read the same residual
  bool shared_norm = false;     // and the same norm of it
  double residual_scale = 1.0;  // multiplies what a branch adds

  int64_t d_embed = 0;  // of the token embedding, where it is projected to d_model; 0: d_model
  double embed_scale = 1.0;
  bool embed_norm = false;

  PositionKind position = PositionKind::rope;
  int64_t position_offset = 0;  // rows of the position table before position 0
  std::vector<Rope> ropes;
  int64_t longest_row = 0;  // rows beyond this length are refused; 0: none is
  Alibi alibi;

  double qkv_limit = 0.0;  // queries, keys and values are clamped to ± this; 0: they are not
  bool qkv_limit_after_norm = false;  // after the norms of queries and keys instead of before
  QkNorm qk_norm = QkNorm::none;
  bool qk_norm_after_rope = false;
  bool qk_norm_rotated_only = false;  // in layers that rotate
  QueryGrowth query_growth;
  Norm qk_norms;
  double score_softcap = 0.0;
  bool sinks = false;  // each head has a logit that takes part in the softmax and leads nowhere
  Latent latent;

  Activation activation = Activation::silu;
  bool gated = true;                // act(gate(x)) * up(x), else act(up(x))
  double activation_alpha = 1.702;  // of gelu_quick
  double mlp_limit = 0.0;           // gate is clamped from above, up to ±; 0: they are not
  double up_offset = 0.0;           // added to up
  Mixture mixture;

  double logit_scale = 1.0;
  double logit_softcap = 0.0;
  bool tied = false;  // unembedding reads the token embedding's weight

  Biases biases;

  /// Numbers config.json states, by key, whether or not they were read; what a misreading may have
  /// passed over. No arithmetic reads them.
  std::vector<std::pair<std::string, double>> stated;
  std::vector<std::string> unknown_keys;  // of config.json, that nobody here knows
  std::vector<std::string>
      unread;  // globs: stored tensors beyond the decoder, as this config has it

  /// Every layer alike.
  void same_layers(double score_scale);
  AttentionRule attention_rule(int layer) const;
  Routing routing(int layer) const;
  bool rotates(int layer) const;
  bool norms_heads(int layer) const;
  bool has_norm_before() const {
    return norms == NormPlacement::before || norms == NormPlacement::around;
  }
  bool has_norm_after() const {
    return norms == NormPlacement::after || norms == NormPlacement::around;
  }
  int64_t embedding_width() const { return d_embed ? d_embed : d_model; }
};

std::string_view name_of(NormKind value);
std::string_view name_of(NormPlacement value);
std::string_view name_of(PositionKind value);
std::string_view name_of(QkNorm value);
std::string_view name_of(RopeLayout value);
std::string_view name_of(RopeScaling value);
std::string_view name_of(Activation value);
std::string_view name_of(Router value);

/// The names checkpoints use ("gelu_new", "silu" ...); throws std::invalid_argument otherwise.
Activation activation_from_name(const std::string& name);

}  // namespace lenswright
