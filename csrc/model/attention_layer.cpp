#include <ATen/ATen.h>

#include <optional>

#include "model/layer.h"
#include "nn/attention.h"
#include "nn/attention_rows.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace lenswright {
namespace {

struct Heads {
  at::Tensor q, k, v;  // [batch, pos, heads or kv_heads, d_head]
};

at::Tensor by_head(const at::Tensor& x, int64_t heads, int64_t d_head) {
  return x.unflatten(-1, {heads, d_head});
}

// x copied to every head, without a copy: [batch, pos, heads, d_model].
at::Tensor per_head(const at::Tensor& x, int64_t heads) {
  return x.unsqueeze(2).expand({-1, -1, heads, -1});
}

// Each head projects an input of its own: input [batch, pos, heads, d_model].
at::Tensor project_per_head(const at::Tensor& input, const Linear& linear, int64_t heads,
                            const LayerWeights& weights, const Pass& pass) {
  const Spec& spec = pass.spec;
  const at::Tensor bias = weights.ln1.bias.defined() ? weights.ln1.bias.view() : at::Tensor();
  const at::Tensor y = norm(input, spec.norm, spec.norm_eps, weights.ln1.gain.view(), bias);
  const at::Tensor w = linear.weight.view().to(y.scalar_type()).unflatten(0, {heads, spec.d_head});
  const at::Tensor out = at::einsum("bphd,hed->bphe", {y, w});
  if (!linear.bias.defined()) return out;
  return out + linear.bias.view().to(out.scalar_type()).view({heads, spec.d_head});
}

bool splits_inputs(int layer, const Taps& taps) {
  for (Site site : {Site::attn_in, Site::q_input, Site::k_input, Site::v_input}) {
    if (taps.writes({site, layer})) return true;
  }
  return false;
}

// The inputs of q, k and v as TransformerLens splits them; nothing where no writer changed one.
std::optional<Heads> split_projections(const at::Tensor& x, const LayerWeights& weights, int layer,
                                       const Pass& pass) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  const int64_t group = spec.n_heads / spec.n_kv_heads;
  TORCH_CHECK_VALUE(!taps.writes({Site::attn_in, layer}) || group == 1, "hook 'blocks.", layer,
                    ".hook_attn_in' cannot be written with grouped keys and values (", spec.n_heads,
                    " heads over ", spec.n_kv_heads,
                    "); expected hook_q_input, hook_k_input or hook_v_input");
  bool changed = false;
  const auto visit = [&](Site site, const at::Tensor& given) {
    const Unchanged unchanged(given);
    const at::Tensor input = taps.visit({site, layer}, given);
    changed = changed || !unchanged(input);
    return input;
  };
  const at::Tensor in = visit(Site::attn_in, per_head(x, spec.n_heads));
  const at::Tensor kv = group == 1 ? in : per_head(x, spec.n_kv_heads);
  const at::Tensor q = visit(Site::q_input, in);
  const at::Tensor k = visit(Site::k_input, kv);
  const at::Tensor v = visit(Site::v_input, kv);
  if (!changed) return std::nullopt;
  return Heads{project_per_head(q, weights.qkv[0], spec.n_heads, weights, pass),
               project_per_head(k, weights.qkv[1], spec.n_kv_heads, weights, pass),
               project_per_head(v, weights.qkv[2], spec.n_kv_heads, weights, pass)};
}

Heads projections(const at::Tensor& x, const LayerWeights& weights, int layer, const Pass& pass) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  const at::Tensor y =
      norm_layer(x, weights.ln1, {Site::ln1_scale, layer}, {Site::ln1_normalized, layer}, pass);
  if (splits_inputs(layer, taps)) {
    if (auto heads = split_projections(x, weights, layer, pass)) return *heads;
  } else {
    taps.show({Site::attn_in, layer}, [&] { return per_head(x, spec.n_heads); });
    taps.show({Site::q_input, layer}, [&] { return per_head(x, spec.n_heads); });
    taps.show({Site::k_input, layer}, [&] { return per_head(x, spec.n_kv_heads); });
    taps.show({Site::v_input, layer}, [&] { return per_head(x, spec.n_kv_heads); });
  }
  const std::vector<at::Tensor> qkv = weights.qkv(y);
  return {by_head(qkv[0], spec.n_heads, spec.d_head), by_head(qkv[1], spec.n_kv_heads, spec.d_head),
          by_head(qkv[2], spec.n_kv_heads, spec.d_head)};
}

// Attention step by step, with the scores and the pattern in sight; undefined where no writer
// changed them.
at::Tensor open_attention(const Heads& heads, int layer, const Pass& pass) {
  const Taps& taps = pass.taps;
  const double scale = pass.spec.score_scale[layer];
  const bool by_row = !pass.spans.empty();
  const at::Tensor s0 = by_row ? row_scores(heads.q, heads.k, pass.spans, scale)
                               : attention_scores(heads.q, heads.k, pass.mask, scale);
  const Unchanged same_scores(s0);
  const at::Tensor scores = taps.visit({Site::attn_scores, layer}, s0);
  const at::Tensor p0 = by_row ? row_pattern(scores, pass.spans) : attention_pattern(scores);
  const Unchanged same_pattern(p0);
  const at::Tensor pattern = taps.visit({Site::pattern, layer}, p0);
  if (same_scores(scores) && same_pattern(pattern)) return {};
  return by_row ? row_mix(pattern, heads.v, pass.spans) : attention_mix(pattern, heads.v);
}

at::Tensor attend(const Heads& heads, int layer, const Pass& pass) {
  const Taps& taps = pass.taps;
  const double scale = pass.spec.score_scale[layer];
  const Point scores{Site::attn_scores, layer}, pattern{Site::pattern, layer};
  if (taps.wants(scores) || taps.wants(pattern)) {
    // Who only looks gets scores and pattern computed beside the fused run.
    const at::Tensor open = open_attention(heads, layer, pass);
    if (open.defined() && (taps.writes(scores) || taps.writes(pattern))) return open;
  }
  if (!pass.spans.empty()) return row_attention(heads.q, heads.k, heads.v, pass.spans, scale);
  return attention_fused(heads.q, heads.k, heads.v, pass.mask, scale);
}

// z [batch, pos, heads, d_head] with one head left in each of `heads` copies, as the writer reads
// it: [batch, pos * heads, heads * d_head].
at::Tensor one_head_each(const at::Tensor& z) {
  const int64_t heads = z.size(2);
  at::Tensor parts = at::zeros({z.size(0), z.size(1), heads, heads, z.size(3)}, z.options());
  parts.diagonal(0, 2, 3).copy_(z.transpose(2, 3));
  return parts.flatten(3).flatten(1, 2);
}

// What each head writes, without the bias: [batch, pos, heads, d_model].
at::Tensor results(const at::Tensor& z, const Linear& out, Point writer, const Pass& pass) {
  const Spec& spec = pass.spec;
  const Adapter* adapter = pass.taps.adapter(writer);
  at::Tensor input = z;
  if (adapter && adapter->before) {
    input = by_head(adapter->before(z.flatten(-2)), spec.n_heads, spec.d_head);
  }
  const at::Tensor w =
      out.weight.view().to(z.scalar_type()).unflatten(1, {spec.n_heads, spec.d_head});
  const at::Tensor result = at::einsum("bphe,dhe->bphd", {input, w});
  if (!adapter || !adapter->after) return result;
  // A linear change of the sum is that change of every part; parts stand as extra positions.
  return adapter->after(one_head_each(z), result.flatten(1, 2)).view(result.sizes());
}

// The writer's bias as an edit in trial would have it: [batch or 1, 1, d_model], or undefined.
at::Tensor written_bias(const at::Tensor& z, const Linear& out, Point writer, const Taps& taps) {
  if (!out.bias.defined()) return {};
  const int64_t d = out.bias.outputs();
  at::Tensor bias = out.bias.view().to(z.scalar_type()).view({1, 1, d}).expand({z.size(0), 1, d});
  const Adapter* adapter = taps.adapter(writer);
  if (!adapter) return bias;
  const at::Tensor nothing = at::zeros({z.size(0), 1, z.size(2) * z.size(3)}, z.options());
  if (adapter->after) bias = adapter->after(nothing, std::move(bias));
  return adapter->shift ? adapter->shift(std::move(bias)) : bias;
}

}  // namespace

at::Tensor attention_layer(const at::Tensor& x, const LayerWeights& weights, int layer,
                           const Pass& pass) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  Heads heads = projections(x, weights, layer, pass);
  heads.q = taps.visit({Site::q, layer}, heads.q);
  heads.k = taps.visit({Site::k, layer}, heads.k);
  heads.v = taps.visit({Site::v, layer}, heads.v);
  if (spec.position == PositionKind::rope) {
    heads.q = taps.visit({Site::rot_q, layer}, rope(heads.q, pass.rope, spec.rope.layout));
    heads.k = taps.visit({Site::rot_k, layer}, rope(heads.k, pass.rope, spec.rope.layout));
  }
  heads = {heads.q.transpose(1, 2), heads.k.transpose(1, 2), heads.v.transpose(1, 2)};
  if (pass.cache) {
    std::tie(heads.k, heads.v) = pass.cache->store(layer, heads.k, heads.v, pass.positions);
  }
  at::Tensor z = taps.visit({Site::z, layer}, attend(heads, layer, pass).transpose(1, 2));

  const Point raw{Site::attn_raw_out, layer}, result{Site::result, layer};
  at::Tensor out;
  if (taps.wants(result)) {
    const at::Tensor r0 = results(z, weights.attn_out, raw, pass);
    const Unchanged unchanged(r0);
    const at::Tensor r = taps.visit(result, r0);
    if (taps.writes(result) && !unchanged(r)) {
      out = r.sum(2);
      const at::Tensor bias = written_bias(z, weights.attn_out, raw, taps);
      if (bias.defined()) out = out + bias;
    }
  }
  if (!out.defined()) out = write_layer(z.flatten(-2), weights.attn_out, raw, taps);
  out = taps.visit(raw, std::move(out));
  return taps.visit({Site::attn_out, layer}, std::move(out));
}

}  // namespace lenswright
