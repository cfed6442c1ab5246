#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "model/layer.h"
#include "nn/activation.h"

namespace lenswright {
namespace {

// Rows whose inner numbers stay in the cache, and in memory that the process keeps: what a larger
// tensor stands in is given back, and comes anew page by page each time.
constexpr int64_t kSliceRows = 672;

// Whether the rows are many, and what is made of each has the same bytes in a slice.
bool by_slices(const at::Tensor& y, const MlpWeights& weights, const Spec& spec) {
  const bool plain = spec.mlp_limit == 0.0 && (!spec.gated || spec.up_offset == 0.0) &&
                     activation_by_number(y, spec.activation);
  if (!plain || !y.is_cpu() || y.numel() <= kSliceRows * y.size(-1)) return false;
  for (size_t i = 0; i < (spec.gated ? 2 : 1); ++i) {
    const Weight& weight = weights.in[i].weight;
    // Codes are widened for all rows at once.
    if (weight.stored()->is_quantised()) return false;
    if (c10::GradMode::is_enabled() && weight.view().requires_grad()) return false;
  }
  return !(c10::GradMode::is_enabled() && y.requires_grad());
}

// use(first row, what the products give of a slice), for all slices.
template <class Use>
void for_slices(const at::Tensor& y, const MlpWeights& weights, const Use& use) {
  const at::Tensor rows = y.reshape({-1, y.size(-1)});
  const int64_t count = rows.size(0), slices = (count + kSliceRows - 1) / kSliceRows;
  for (int64_t i = 0; i < slices; ++i) {
    const int64_t start = count * i / slices, size = count * (i + 1) / slices - start;
    use(start, weights.in(rows.narrow(0, start, size)));
  }
}

at::Tensor shaped_like(const at::Tensor& rows, const at::Tensor& y) {
  std::vector<int64_t> shape = y.sizes().vec();
  shape.back() = rows.size(-1);
  return rows.view(shape);
}

// act(gate) · up, or act(up), of all rows.
at::Tensor sliced(const at::Tensor& y, const MlpWeights& weights, const Spec& spec) {
  at::Tensor post;
  for_slices(y, weights, [&](int64_t start, const std::vector<at::Tensor>& in) {
    if (!post.defined()) {
      post = at::empty({y.numel() / y.size(-1), in[0].size(-1)}, in[0].options());
    }
    activation_into(post.narrow(0, start, in[0].size(0)), spec.gated ? in[1] : in[0],
                    spec.gated ? in[0] : at::Tensor(), spec.activation, spec.activation_alpha);
  });
  return shaped_like(post, y);
}

// The products alone, for who looks at them: the same numbers as where nobody does.
std::vector<at::Tensor> joined(const at::Tensor& y, const MlpWeights& weights) {
  std::vector<std::vector<at::Tensor>> parts;
  for_slices(y, weights, [&](int64_t, const std::vector<at::Tensor>& in) {
    parts.resize(in.size());
    for (size_t i = 0; i < in.size(); ++i) parts[i].push_back(in[i]);
  });
  std::vector<at::Tensor> all;
  for (const auto& part : parts) all.push_back(shaped_like(at::cat(part), y));
  return all;
}

}  // namespace

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
  const Point pre{Site::mlp_pre, layer}, raw{Site::mlp_raw_out, layer};
  const bool slices = by_slices(y, weights, pass.spec);
  const bool seen = taps.wants(pre) || taps.wants({Site::mlp_pre_linear, layer});
  at::Tensor post;
  if (slices && !seen) {
    post = sliced(y, weights, pass.spec);
  } else {
    const std::vector<at::Tensor> in = slices ? joined(y, weights) : weights.in(y);
    at::Tensor up, gate;
    if (pass.spec.gated) {
      gate = taps.visit(pre, in[1]);
      up = taps.visit({Site::mlp_pre_linear, layer}, in[0]);
    } else {
      up = taps.visit(pre, in[0]);
    }
    post = mlp_activation(up, gate, weights, pass.spec);
  }
  post = taps.visit({Site::mlp_post, layer}, std::move(post));
  return taps.visit(raw, write_layer(post, weights.out, {WriterKind::mlp, layer}, taps));
}

}  // namespace lenswright
