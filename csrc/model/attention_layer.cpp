#include <ATen/ATen.h>

#include "model/layer.h"
#include "nn/attention.h"
#include "nn/attention_rows.h"
#include "nn/deterministic.h"
#include "nn/norm.h"

namespace lenswright {
namespace {

at::Tensor by_head(const at::Tensor& x, int64_t heads) {
  return x.unflatten(-1, {heads, x.size(-1) / heads});
}

// Norms of queries or keys [batch, pos, heads, d_head].
at::Tensor head_norm(const at::Tensor& x, const HeadNorms& norms, const Spec& spec) {
  const auto of_all = [&](Weight NormWeights::*part) -> at::Tensor {
    if (norms.empty() || !(norms[0].*part).defined()) return {};
    if (norms.size() == 1) return (norms[0].*part).view();
    std::vector<at::Tensor> each;
    for (const NormWeights& own : norms) each.push_back((own.*part).view());
    return at::stack(each);
  };
  const at::Tensor gain = of_all(&NormWeights::gain), bias = of_all(&NormWeights::bias);
  if (spec.qk_norm == QkNorm::head) return norm(x, spec.qk_norms, gain, bias);
  return norm(x.flatten(-2), spec.qk_norms, gain, bias).view_as(x);
}

void norm_heads(Heads& heads, const AttentionWeights& weights, int layer, const Pass& pass) {
  const Spec& spec = pass.spec;
  if (!spec.norms_heads(layer)) return;
  const bool limited = spec.qkv_limit > 0.0 && spec.qkv_limit_after_norm;
  const auto normed = [&](Site site, const at::Tensor& x, const HeadNorms& norms) {
    at::Tensor y = head_norm(x, norms, spec);
    if (limited) y = y.clamp(-spec.qkv_limit, spec.qkv_limit);
    return pass.taps.visit({site, layer}, std::move(y));
  };
  heads.q = normed(Site::q_normed, heads.q, weights.q_norm);
  heads.k = normed(Site::k_normed, heads.k, weights.k_norm);
}

// Queries [batch, pos, heads, d_head] by their positions; see QueryGrowth.
at::Tensor grown(const at::Tensor& q, const Pass& pass, int layer) {
  const QueryGrowth& growth = pass.spec.query_growth;
  if (growth.beta == 0.0) return q;
  if (growth.unrotated_only && pass.spec.rotates(layer)) return q;
  const at::Tensor steps = at::floor_divide(pass.positions + growth.offset, growth.step);
  const at::ScalarType wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const auto log = [](const at::Tensor& x) { return at::log1p(x); };
  const at::Tensor factor = elementwise(steps.to(wide), log) * growth.beta + 1.0;
  return q * factor.unsqueeze(-1).unsqueeze(-1).to(q.scalar_type());
}

void rotate_heads(Heads& heads, int layer, const Pass& pass) {
  if (!pass.spec.rotates(layer)) {
    heads.q = grown(heads.q, pass, layer);
    return;
  }
  const auto which = static_cast<size_t>(pass.spec.layers[static_cast<size_t>(layer)].rope);
  const Rope& rule = pass.spec.ropes[which];
  const RopeTable& table = pass.ropes[which];
  heads.q =
      pass.taps.visit({Site::rot_q, layer}, grown(rotated(heads.q, table, rule), pass, layer));
  heads.k = pass.taps.visit({Site::rot_k, layer}, rotated(heads.k, table, rule));
}

// What the sinks take is a consequence of the scores: to be watched, not changed.
void show_sinks(const at::Tensor& scores, const AttentionSetting& set, int layer,
                const Pass& pass) {
  const Point sink{Site::attn_sink, layer};
  if (!pass.taps.wants(sink)) return;
  const at::Tensor mass = pass.spans.empty() ? sink_mass(scores, set.sinks)
                                             : row_sink_mass(scores, pass.spans, set.sinks);
  const at::Tensor seen = pass.taps.visit(sink, mass);
  TORCH_CHECK_VALUE(seen.is_same(mass) || at::equal(seen, mass), "hook '", name_of(sink),
                    "' can be watched but not changed; expected attn.hook_attn_scores or "
                    "attn.hook_pattern");
}

// Attention step by step, with the scores and the pattern in sight; undefined where no writer
// changed them.
at::Tensor open_attention(const Heads& heads, const AttentionSetting& set, int layer,
                          const Pass& pass) {
  const Taps& taps = pass.taps;
  const bool by_row = !pass.spans.empty();
  const at::Tensor s0 = by_row ? row_scores(heads.q, heads.k, pass.spans, set)
                               : attention_scores(heads.q, heads.k, set);
  const Unchanged same_scores(s0);
  const at::Tensor scores = taps.visit({Site::attn_scores, layer}, s0);
  show_sinks(scores, set, layer, pass);
  const at::Tensor p0 =
      by_row ? row_pattern(scores, pass.spans, set.sinks) : attention_pattern(scores, set.sinks);
  const Unchanged same_pattern(p0);
  const at::Tensor pattern = taps.visit({Site::pattern, layer}, p0);
  if (same_scores(scores) && same_pattern(pattern)) return {};
  return by_row ? row_mix(pattern, heads.v, pass.spans) : attention_mix(pattern, heads.v);
}

at::Tensor attend(const Heads& heads, const AttentionSetting& set, int layer, const Pass& pass) {
  const Taps& taps = pass.taps;
  const Point scores{Site::attn_scores, layer}, pattern{Site::pattern, layer};
  const Point sink{Site::attn_sink, layer};
  const bool watched = taps.wants(scores) || taps.wants(pattern) || taps.wants(sink);
  if (pass.branches) {
    TORCH_CHECK_VALUE(!watched, "a hook watches the attention of layer ", layer,
                      ", which is not square where rows branch; expected rows that do not");
    return branch_attention(heads.q, heads.k, heads.v, *pass.branches, set);
  }
  if (watched) {
    // Who only looks gets scores and pattern computed beside the fused run.
    const at::Tensor open = open_attention(heads, set, layer, pass);
    if (open.defined() && (taps.writes(scores) || taps.writes(pattern))) return open;
  }
  if (!pass.spans.empty()) return row_attention(heads.q, heads.k, heads.v, pass.spans, set);
  return attention_fused(heads.q, heads.k, heads.v, set);
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
at::Tensor results(const at::Tensor& z, const Linear& out, const WriterKey& writer,
                   const Pass& pass) {
  const Spec& spec = pass.spec;
  const Adapter* adapter = pass.taps.adapter(writer);
  at::Tensor input = z;
  if (adapter && adapter->before) {
    input = by_head(adapter->before(z.flatten(-2)), spec.n_heads);
  }
  const at::Tensor w =
      out.weight.view().to(z.scalar_type()).unflatten(1, {spec.n_heads, spec.d_value});
  const at::Tensor result = at::einsum("bphe,dhe->bphd", {input, w});
  if (!adapter || !adapter->after) return result;
  // A linear change of the sum is that change of every part; parts stand as extra positions.
  return adapter->after(one_head_each(z), result.flatten(1, 2)).view(result.sizes());
}

// The writer's bias as an edit in trial would have it: [batch or 1, 1, d_model], or undefined.
at::Tensor written_bias(const at::Tensor& z, const Linear& out, const WriterKey& writer,
                        const Taps& taps) {
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

at::Tensor attention_layer(const at::Tensor& x, const at::Tensor& y, const LayerWeights& weights,
                           int layer, const Pass& pass) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  const AttentionWeights& own = weights.attention;
  Heads heads = projected_heads(x, y, weights, layer, pass);
  heads.q = taps.visit({Site::q, layer}, heads.q);
  heads.k = taps.visit({Site::k, layer}, heads.k);
  heads.v = taps.visit({Site::v, layer}, heads.v);
  if (!spec.qk_norm_after_rope) norm_heads(heads, own, layer, pass);
  rotate_heads(heads, layer, pass);
  if (spec.qk_norm_after_rope) norm_heads(heads, own, layer, pass);
  heads = {heads.q.transpose(1, 2), heads.k.transpose(1, 2), heads.v.transpose(1, 2)};
  if (pass.cache) {
    std::tie(heads.k, heads.v) = pass.cache->store(layer, heads.k, heads.v, pass.positions);
  }
  AttentionSetting set = pass.attention[static_cast<size_t>(layer)];
  if (own.sinks.defined()) set.sinks = own.sinks.view().to(heads.q.scalar_type());
  at::Tensor z = taps.visit({Site::z, layer}, attend(heads, set, layer, pass).transpose(1, 2));

  const WriterKey writer{WriterKind::attention, layer};
  const Point raw{Site::attn_raw_out, layer}, result{Site::result, layer};
  at::Tensor out;
  if (taps.wants(result)) {
    const at::Tensor r0 = results(z, own.out, writer, pass);
    const Unchanged unchanged(r0);
    const at::Tensor r = taps.visit(result, r0);
    if (taps.writes(result) && !unchanged(r)) {
      out = r.sum(2);
      const at::Tensor bias = written_bias(z, own.out, writer, taps);
      if (bias.defined()) out = out + bias;
    }
  }
  if (!out.defined()) out = write_layer(z.flatten(-2), own.out, writer, taps);
  return taps.visit(raw, std::move(out));
}

}  // namespace lenswright
