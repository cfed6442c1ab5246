#include <ATen/ATen.h>

#include "model/layer.h"
#include "nn/activation.h"

namespace lenswright {

at::Tensor mlp_activation(const at::Tensor& up, const at::Tensor& gate, const MlpWeights& weights,
                          const Spec& spec) {
  const double limit = spec.mlp_limit;
  at::Tensor x = gate.defined() ? gate : up;
  if (limit > 0.0 && gate.defined()) x = x.clamp_max(limit);
  if (spec.activation == Activation::xielu) {
    x = xielu(x, {weights.alpha_p.view(), weights.alpha_n.view(), weights.beta.view(),
                  weights.eps.view()});
  } else {
    x = activation(x, spec.activation, spec.activation_alpha);
  }
  if (!gate.defined()) return x;
  at::Tensor factor = limit > 0.0 ? up.clamp(-limit, limit) : up;
  if (spec.up_offset != 0.0) factor = factor + spec.up_offset;
  return x * factor;
}

at::Tensor mlp_layer(const at::Tensor& y, const MlpWeights& weights, int layer, const Pass& pass) {
  const Taps& taps = pass.taps;
  const std::vector<at::Tensor> in = weights.in(y);
  const Point pre{Site::mlp_pre, layer}, raw{Site::mlp_raw_out, layer};
  at::Tensor up, gate;
  if (pass.spec.gated) {
    gate = taps.visit(pre, in[1]);
    up = taps.visit({Site::mlp_pre_linear, layer}, in[0]);
  } else {
    up = taps.visit(pre, in[0]);
  }
  at::Tensor post =
      taps.visit({Site::mlp_post, layer}, mlp_activation(up, gate, weights, pass.spec));
  return taps.visit(raw, write_layer(post, weights.out, {WriterKind::mlp, layer}, taps));
}

}  // namespace lenswright
