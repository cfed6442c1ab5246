#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/kv_cache.h"
#include "model/taps.h"
#include "model/weight.h"
#include "nn/attention_branches.h"
#include "nn/attention_rows.h"
#include "nn/rope.h"
#include "spec/spec.h"

namespace lenswright {

struct NormWeights {
  Weight gain, bias;  // either may be undefined

  at::Tensor gain_view() const { return gain.defined() ? gain.view() : at::Tensor(); }
  at::Tensor bias_view() const { return bias.defined() ? bias.view() : at::Tensor(); }
};

/// Norms of queries or keys: one for all heads, or one for each.
using HeadNorms = std::vector<NormWeights>;

/// Latent attention's compressions; undefined where a model has none.
struct LatentWeights {
  Linear q_down, kv_down;
  NormWeights q_norm, kv_norm;
  Projections kv;  // keys without their rotated part, and values
};

struct AttentionWeights {
  LatentWeights latent;
  Projections qkv;  // queries, keys, values; with latents: queries
  HeadNorms q_norm, k_norm;
  Weight sinks;
  Linear out;
};

struct MlpWeights {
  Projections in;  // up, or up and gate
  Linear out;
  Weight alpha_p, alpha_n, beta, eps;  // of xielu
};

struct MixtureWeights {
  Linear router;
  Weight correction;
  std::vector<MlpWeights> experts;
  MlpWeights shared;
  Linear shared_gate;
};

/// The weights of one block, each a view of what the checkpoint stores. Norms a block does not have
/// are undefined.
struct LayerWeights {
  NormWeights ln1, ln1_post, ln2, ln2_post;
  AttentionWeights attention;
  MlpWeights mlp;
  MixtureWeights mixture;
};

/// What a run tells every block.
struct Pass {
  const Spec& spec;
  const Taps& taps;
  at::Tensor positions;                     // [batch, pos]
  std::vector<RopeTable> ropes;             // of these positions, one for each of Spec::ropes
  std::vector<AttentionSetting> attention;  // by layer, without its sinks
  RowSpans spans;                           // only in deterministic runs: attention row by row
  KvCache* cache = nullptr;
  const Branches* branches = nullptr;  // null where a place sees all before it
  at::Tensor places{};                 // [n] of which the last MLP is wanted; undefined: all
};

/// How far a block is run.
enum class Until : uint8_t { resid_pre, attn_out, resid_post };

/// One decoder block: x [batch, pos, d_model] -> the residual after it (as far as it is run).
at::Tensor block(at::Tensor x, const LayerWeights& weights, int layer, const Pass& pass,
                 Until until = Until::resid_post);

/// What attention writes, from the residual x and the same normed, y.
at::Tensor attention_layer(const at::Tensor& x, const at::Tensor& y, const LayerWeights& weights,
                           int layer, const Pass& pass);

/// What a dense MLP or a mixture of experts writes, from its normed input.
at::Tensor mlp_layer(const at::Tensor& y, const MlpWeights& weights, int layer, const Pass& pass);
at::Tensor mixture_layer(const at::Tensor& y, const MixtureWeights& weights, int layer,
                         const Pass& pass);

/// act(gate) · up, or act(up), as the spec has it. gate is undefined where there is none.
at::Tensor mlp_activation(const at::Tensor& up, const at::Tensor& gate, const MlpWeights& weights,
                          const Spec& spec);

/// Queries, keys and values, [batch, pos, heads or kv_heads, d_head or d_value], before any norm or
/// rotation of their own.
struct Heads {
  at::Tensor q, k, v;
};
Heads projected_heads(const at::Tensor& x, const at::Tensor& y, const LayerWeights& weights,
                      int layer, const Pass& pass);

/// A norm whose scale and normalised input can be watched and changed.
at::Tensor norm_layer(const at::Tensor& x, const NormWeights& weights, Point scale,
                      Point normalized, const Pass& pass);

/// A writer's product, as an edit in trial would have it.
at::Tensor write_layer(const at::Tensor& input, const Linear& linear, const WriterKey& writer,
                       const Taps& taps);
/// The same of tokens that were gathered from a batch, [tokens, inputs].
at::Tensor write_gathered(const at::Tensor& input, const Linear& linear, const WriterKey& writer,
                          const Taps& taps, const Gathered& tokens);

}  // namespace lenswright
