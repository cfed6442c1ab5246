#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/kv_cache.h"
#include "model/taps.h"
#include "model/weight.h"
#include "nn/attention_rows.h"
#include "nn/rope.h"
#include "spec/spec.h"

namespace lenswright {

struct NormWeights {
  Weight gain, bias;  // bias may be undefined
};

/// The weights of one block, each a view of what the checkpoint stores.
struct LayerWeights {
  NormWeights ln1, ln2;
  Projections qkv;
  Linear attn_out;
  Projections mlp_in;  // up, or up and gate
  Linear mlp_out;
};

/// What a run tells every block.
struct Pass {
  const Spec& spec;
  const Taps& taps;
  at::Tensor positions;  // [batch, pos]
  RopeTable rope;        // of these positions; empty where they are learned
  at::Tensor mask;       // see nn/attention.h
  RowSpans spans;        // only in deterministic runs: attention row by row
  KvCache* cache = nullptr;
};

/// How far a block is run.
enum class Until : uint8_t { resid_pre, attn_out, resid_post };

/// One decoder block: x [batch, pos, d_model] -> the residual after it (as far as it is run).
at::Tensor block(at::Tensor x, const LayerWeights& weights, int layer, const Pass& pass,
                 Until until = Until::resid_post);

/// What attention and MLP add to the residual x.
at::Tensor attention_layer(const at::Tensor& x, const LayerWeights& weights, int layer,
                           const Pass& pass);
at::Tensor mlp_layer(const at::Tensor& x, const LayerWeights& weights, int layer, const Pass& pass);

/// A norm whose scale and normalised input can be watched and changed.
at::Tensor norm_layer(const at::Tensor& x, const NormWeights& weights, Point scale,
                      Point normalized, const Pass& pass);

/// A writer's product, as an edit in trial would have it.
at::Tensor write_layer(at::Tensor input, const Linear& linear, Point output, const Taps& taps);

}  // namespace lenswright
