#include "nn/routing.h"

#include <ATen/ATen.h>

#include <limits>

#include "nn/deterministic.h"

namespace lenswright {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// Scores of all but the best groups of experts become -inf or 0, as the published routers have it.
at::Tensor best_groups(const at::Tensor& scores, const Routing& r) {
  if (r.groups <= 1) return scores;
  const at::Tensor grouped = scores.unflatten(-1, {r.groups, r.experts / r.groups});
  const at::Tensor worth =
      r.group_by_two ? std::get<0>(grouped.topk(2, -1)).sum(-1) : std::get<0>(grouped.max(-1));
  const at::Tensor best = std::get<1>(worth.topk(r.chosen_groups, -1));
  const at::Tensor kept = at::zeros_like(worth).scatter(-1, best, 1.0).unsqueeze(-1) > 0;
  return grouped.masked_fill(kept.logical_not(), r.group_by_two ? kNever : 0.0).flatten(-2);
}

Chosen by_probability(const at::Tensor& probabilities, const Routing& r,
                      const at::Tensor& correction) {
  at::Tensor scores = probabilities;
  if (correction.defined()) scores = scores + correction.to(scores.scalar_type());
  const at::Tensor indices = std::get<1>(best_groups(scores, r).topk(r.chosen, -1));
  at::Tensor weights = probabilities.gather(-1, indices);
  if (r.renormalise) {
    const at::Tensor sum = weights.sum(-1, true) + r.renormalise_eps;
    weights = weights / sum.clamp_min(r.renormalise_min);
  }
  return {indices, weights};
}

// ATen's rounds by where in a tensor a number stands.
at::Tensor each_sigmoid(const at::Tensor& x) {
  return elementwise(x, [](const at::Tensor& part) { return at::sigmoid(part); });
}

// One expert by arXiv:2310.00811 at inference: the best, its weight among those not far below it.
Chosen best_of_near(const at::Tensor& logits, const at::Tensor& among, double jitter) {
  const auto [top, index] = among.max(-1, true);
  const at::Tensor factor = at::maximum(logits.abs(), top);
  const at::Tensor far = (top - logits) / factor > 2 * jitter;
  const at::Tensor near = at::softmax(among.masked_fill(far, kNever), -1);
  return {index, near.gather(-1, index)};
}

Chosen by_sparsemixer(const at::Tensor& logits, const Routing& r) {
  const Chosen first = best_of_near(logits, logits, r.jitter);
  const at::Tensor rest = logits.scatter(-1, first.indices, kNever);
  const Chosen second = best_of_near(logits, rest, r.jitter);
  return {at::cat({first.indices, second.indices}, -1),
          at::cat({first.weights, second.weights}, -1)};
}

Chosen by_router(const at::Tensor& logits, const Routing& routing, const at::Tensor& correction) {
  switch (routing.router) {
    case Router::softmax_first:
      return by_probability(at::softmax(logits, -1), routing, correction);
    case Router::sigmoid:
      return by_probability(each_sigmoid(logits), routing, correction);
    case Router::softmax_last: {
      const auto [top, indices] = logits.topk(routing.chosen, -1);
      return {indices, at::softmax(top, -1)};
    }
    case Router::sigmoid_input: {
      const auto [top, indices] = logits.topk(routing.chosen, -1);
      return {indices, each_sigmoid(top)};
    }
    case Router::sparsemixer:
      return by_sparsemixer(logits, routing);
  }
  TORCH_INTERNAL_ASSERT(false, "unknown router");
}

}  // namespace

Chosen choose_experts(const at::Tensor& given, const Routing& routing,
                      const at::Tensor& correction) {
  const bool half = given.scalar_type() == at::kBFloat16 || given.scalar_type() == at::kHalf;
  Chosen chosen = by_router(half ? given.to(at::kFloat) : given, routing, correction);
  if (routing.scale != 1.0) chosen.weights = chosen.weights * routing.scale;
  return chosen;
}

}  // namespace lenswright
