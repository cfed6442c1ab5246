#include <ATen/ATen.h>

#include "model/layer.h"
#include "nn/activation.h"
#include "nn/norm.h"

namespace lenswright {

at::Tensor norm_layer(const at::Tensor& x, const NormWeights& weights, Point scale,
                      Point normalized, const Pass& pass) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  const at::Tensor gain = weights.gain.view();
  const at::Tensor bias = weights.bias.defined() ? weights.bias.view() : at::Tensor();
  if (taps.writes(scale) || taps.writes(normalized)) {
    const at::Tensor s0 = norm_scale(x, spec.norm, spec.norm_eps);
    const Unchanged same_scale(s0);
    const at::Tensor s = taps.visit(scale, s0);
    const at::Tensor n0 = norm_normalized(x, s, spec.norm);
    const Unchanged same_normalized(n0);
    const at::Tensor n = taps.visit(normalized, n0);
    if (!same_scale(s) || !same_normalized(n)) return norm_gain(n, gain, bias);
  } else if (taps.wants(scale) || taps.wants(normalized)) {
    // Computed beside the norm itself, so that watching changes no number.
    const at::Tensor s = norm_scale(x, spec.norm, spec.norm_eps);
    taps.visit(scale, s);
    taps.show(normalized, [&] { return norm_normalized(x, s, spec.norm); });
  }
  return norm(x, spec.norm, spec.norm_eps, gain, bias);
}

at::Tensor write_layer(at::Tensor input, const Linear& linear, Point output, const Taps& taps) {
  const Adapter* adapter = taps.adapter(output);
  if (!adapter) return linear(input);
  at::Tensor written = linear(adapter->before ? adapter->before(input) : input);
  if (adapter->after) written = adapter->after(input, std::move(written));
  return adapter->shift ? adapter->shift(std::move(written)) : written;
}

at::Tensor mlp_layer(const at::Tensor& x, const LayerWeights& weights, int layer,
                     const Pass& pass) {
  const Taps& taps = pass.taps;
  const at::Tensor input = taps.visit({Site::mlp_in, layer}, x);
  const at::Tensor y =
      norm_layer(input, weights.ln2, {Site::ln2_scale, layer}, {Site::ln2_normalized, layer}, pass);
  std::vector<at::Tensor> in = weights.mlp_in(y);
  const Point pre{Site::mlp_pre, layer};
  at::Tensor post;
  if (pass.spec.gated) {
    const at::Tensor gate = taps.visit(pre, in[1]);
    const at::Tensor up = taps.visit({Site::mlp_pre_linear, layer}, in[0]);
    post = activation(gate, pass.spec.activation) * up;
  } else {
    post = activation(taps.visit(pre, in[0]), pass.spec.activation);
  }
  post = taps.visit({Site::mlp_post, layer}, std::move(post));
  const Point raw{Site::mlp_raw_out, layer};
  at::Tensor out = taps.visit(raw, write_layer(std::move(post), weights.mlp_out, raw, taps));
  return taps.visit({Site::mlp_out, layer}, std::move(out));
}

at::Tensor block(at::Tensor x, const LayerWeights& weights, int layer, const Pass& pass,
                 Until until) {
  const Taps& taps = pass.taps;
  x = taps.visit({Site::resid_pre, layer}, std::move(x));
  if (until == Until::resid_pre) return x;
  const at::Tensor attention = attention_layer(x, weights, layer, pass);
  if (until == Until::attn_out) return x;
  x = taps.visit({Site::resid_mid, layer}, x + attention);
  x = x + mlp_layer(x, weights, layer, pass);
  return taps.visit({Site::resid_post, layer}, std::move(x));
}

}  // namespace lenswright
