#include <ATen/ATen.h>

#include "model/layer.h"
#include "nn/norm.h"

namespace lenswright {

at::Tensor norm_layer(const at::Tensor& x, const NormWeights& weights, Point scale,
                      Point normalized, const Pass& pass) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  const at::Tensor gain = weights.gain_view(), bias = weights.bias_view();
  if (taps.writes(scale) || taps.writes(normalized)) {
    const at::Tensor s0 = norm_scale(x, spec.norm);
    const Unchanged same_scale(s0);
    const at::Tensor s = taps.visit(scale, s0);
    const at::Tensor n0 = norm_normalized(x, s, spec.norm);
    const Unchanged same_normalized(n0);
    const at::Tensor n = taps.visit(normalized, n0);
    if (!same_scale(s) || !same_normalized(n)) return norm_gain(n, spec.norm, gain, bias);
  } else if (taps.wants(scale) || taps.wants(normalized)) {
    // Computed beside the norm itself, so that watching changes no number.
    const at::Tensor s = norm_scale(x, spec.norm);
    taps.visit(scale, s);
    taps.show(normalized, [&] { return norm_normalized(x, s, spec.norm); });
  }
  return norm(x, spec.norm, gain, bias);
}

at::Tensor write_layer(const at::Tensor& input, const Linear& linear, const WriterKey& writer,
                       const Taps& taps) {
  const Adapter* adapter = taps.adapter(writer);
  return adapter ? adapter->around(input, linear) : linear(input);
}

at::Tensor write_gathered(const at::Tensor& input, const Linear& linear, const WriterKey& writer,
                          const Taps& taps, const Gathered& tokens) {
  const Adapter* adapter = taps.adapter(writer);
  if (!adapter || !adapter->take) return write_layer(input, linear, writer, taps);
  return adapter->take(tokens).around(input.unsqueeze(1), linear).squeeze(1);
}

namespace {

// What a branch wrote, as it is added to the residual.
at::Tensor contribution(at::Tensor written, const NormWeights& post, Point scale, Point normalized,
                        Point added, const Pass& pass) {
  const Spec& spec = pass.spec;
  if (spec.has_norm_after()) written = norm_layer(written, post, scale, normalized, pass);
  if (spec.residual_scale != 1.0) written = written * spec.residual_scale;
  return pass.taps.visit(added, std::move(written));
}

at::Tensor attention_branch(const at::Tensor& x, const at::Tensor& y, const LayerWeights& weights,
                            int layer, const Pass& pass) {
  return contribution(attention_layer(x, y, weights, layer, pass), weights.ln1_post,
                      {Site::ln1_post_scale, layer}, {Site::ln1_post_normalized, layer},
                      {Site::attn_out, layer}, pass);
}

// x: the residual; y: the same as attention saw it normed, where the MLP shares that norm.
at::Tensor mlp_branch(const at::Tensor& x, const at::Tensor& y, const LayerWeights& weights,
                      int layer, const Pass& pass) {
  const Spec& spec = pass.spec;
  const Unchanged unchanged(x);
  const at::Tensor input = pass.taps.visit({Site::mlp_in, layer}, x);
  at::Tensor normed = input;
  if (spec.shared_norm) {
    const NormWeights& ln = weights.ln1;
    const bool same = !pass.taps.writes({Site::mlp_in, layer}) || unchanged(input);
    normed = same ? y : norm(input, spec.norm, ln.gain_view(), ln.bias_view());
  } else if (spec.has_norm_before()) {
    normed = norm_layer(input, weights.ln2, {Site::ln2_scale, layer}, {Site::ln2_normalized, layer},
                        pass);
  }
  const bool mixture = spec.layers[static_cast<size_t>(layer)].mixture;
  at::Tensor written = mixture ? mixture_layer(normed, weights.mixture, layer, pass)
                               : mlp_layer(normed, weights.mlp, layer, pass);
  return contribution(std::move(written), weights.ln2_post, {Site::ln2_post_scale, layer},
                      {Site::ln2_post_normalized, layer}, {Site::mlp_out, layer}, pass);
}

}  // namespace

at::Tensor block(at::Tensor x, const LayerWeights& weights, int layer, const Pass& pass,
                 Until until) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  const Point ln1_scale{Site::ln1_scale, layer}, ln1_normalized{Site::ln1_normalized, layer};
  const bool behind = spec.norms == NormPlacement::behind;
  x = taps.visit({Site::resid_pre, layer}, std::move(x));
  if (until == Until::resid_pre) return x;
  at::Tensor y = x;
  if (spec.has_norm_before()) y = norm_layer(x, weights.ln1, ln1_scale, ln1_normalized, pass);
  at::Tensor attention = attention_branch(x, y, weights, layer, pass);
  if (until == Until::attn_out) return x;
  if (pass.places.defined() && layer + 1 == spec.n_layers) {
    for (at::Tensor* one : {&x, &y, &attention}) *one = one->index_select(1, pass.places);
  }
  if (spec.parallel) {
    x = x + attention + mlp_branch(x, y, weights, layer, pass);
    return taps.visit({Site::resid_post, layer}, std::move(x));
  }
  x = x + attention;
  if (behind) x = norm_layer(x, weights.ln1, ln1_scale, ln1_normalized, pass);
  x = taps.visit({Site::resid_mid, layer}, std::move(x));
  x = x + mlp_branch(x, y, weights, layer, pass);
  if (behind) {
    x = norm_layer(x, weights.ln2, {Site::ln2_scale, layer}, {Site::ln2_normalized, layer}, pass);
  }
  return taps.visit({Site::resid_post, layer}, std::move(x));
}

}  // namespace lenswright
