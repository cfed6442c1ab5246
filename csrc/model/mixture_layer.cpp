#include <ATen/ATen.h>

#include "model/layer.h"
#include "nn/deterministic.h"
#include "nn/routing.h"

namespace lenswright {
namespace {

// What the expert's writer reads.
at::Tensor hidden(const at::Tensor& y, const MlpWeights& weights, const Spec& spec) {
  const std::vector<at::Tensor> in = weights.in(y);
  return mlp_activation(in[0], spec.gated ? in[1] : at::Tensor(), weights, spec);
}

// Every chosen expert's output, [batch, pos, chosen, d_model]: each expert runs once, on its own
// tokens. In deterministic runs a token's result depends on no other, as everywhere.
at::Tensor expert_outputs(const at::Tensor& y, const Chosen& chosen, const MixtureWeights& weights,
                          int layer, const Pass& pass) {
  const Routing routing = pass.spec.routing(layer);
  const int64_t width = y.size(-1), k = routing.chosen;
  const at::Tensor rows = y.reshape({-1, width});
  const at::Tensor flat = chosen.indices.reshape({-1});  // [tokens * chosen]
  const at::Tensor order = flat.argsort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  const at::Tensor counts = at::bincount(flat, {}, routing.experts).to(at::kCPU);
  const at::Tensor tokens = at::floor_divide(order, k);
  const at::Tensor batch_rows = at::floor_divide(tokens, y.size(1));
  at::Tensor inputs = rows.index_select(0, tokens);
  if (routing.router == Router::sigmoid_input) {
    inputs = inputs * chosen.weights.reshape({-1, 1}).index_select(0, order).to(y.scalar_type());
  }
  std::vector<at::Tensor> outputs;
  int64_t start = 0;
  for (int64_t expert = 0; expert < routing.experts; ++expert) {
    const int64_t count = counts[expert].item<int64_t>();
    if (count == 0) continue;
    const MlpWeights& own = weights.experts[static_cast<size_t>(expert)];
    outputs.push_back(write_gathered(hidden(inputs.narrow(0, start, count), own, pass.spec),
                                     own.out, {WriterKind::expert, layer, expert}, pass.taps,
                                     {batch_rows.narrow(0, start, count), y.size(0)}));
    start += count;
  }
  const at::Tensor back = order.argsort();
  return at::cat(outputs).index_select(0, back).view(
      {y.size(0), y.size(1), k, outputs[0].size(-1)});
}

at::Tensor shared_output(const at::Tensor& y, const MixtureWeights& weights, int layer,
                         const Pass& pass) {
  at::Tensor out = write_layer(hidden(y, weights.shared, pass.spec), weights.shared.out,
                               {WriterKind::shared_expert, layer}, pass.taps);
  if (pass.spec.mixture.shared_gate) {
    const auto open = [](const at::Tensor& x) { return at::sigmoid(x); };
    out = elementwise(weights.shared_gate(y), open) * out;
  }
  return pass.taps.visit({Site::shared_out, layer}, std::move(out));
}

}  // namespace

at::Tensor mixture_layer(const at::Tensor& y, const MixtureWeights& weights, int layer,
                         const Pass& pass) {
  const Taps& taps = pass.taps;
  const Routing routing = pass.spec.routing(layer);
  const bool widened = routing.wide && y.scalar_type() != at::kDouble;
  const at::Tensor logits =
      taps.visit({Site::router_logits, layer}, weights.router(widened ? y.to(at::kFloat) : y));
  at::Tensor correction;  // some checkpoints store it as [1, experts]
  if (weights.correction.defined()) correction = weights.correction.view().flatten();
  Chosen chosen = choose_experts(logits, routing, correction);
  chosen.indices = taps.visit({Site::expert_indices, layer}, chosen.indices);
  chosen.weights = taps.visit({Site::expert_weights, layer}, chosen.weights.to(y.scalar_type()));
  const Point each{Site::expert_out, layer};
  const at::Tensor outputs = taps.visit(each, expert_outputs(y, chosen, weights, layer, pass));
  at::Tensor out;
  if (routing.router == Router::sigmoid_input) {
    out = outputs.sum(2);
  } else {
    out = (outputs * chosen.weights.unsqueeze(-1)).sum(2);
  }
  if (pass.spec.mixture.d_shared > 0) {
    out = out + shared_output(y, weights, layer, pass);
  }
  return taps.visit({Site::mlp_raw_out, layer}, std::move(out));
}

}  // namespace lenswright
