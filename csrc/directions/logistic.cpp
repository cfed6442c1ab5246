#include "directions/logistic.h"

#include <ATen/ATen.h>

#include <limits>

namespace lenswright {
namespace {

// Rows in coordinates of their own span: x = z axes, axes [rank, width] orthonormal.
struct Span {
  at::Tensor z, axes;
};

Span span_of(const at::Tensor& x) {
  if (x.size(1) <= x.size(0)) return {x, at::Tensor()};
  const auto [values, vectors] = at::linalg_eigh(at::mm(x, x.t()));
  const double floor = values.max().item<double>() * static_cast<double>(x.size(1)) *
                       std::numeric_limits<double>::epsilon();
  const int64_t rank = (values > floor).sum().item<int64_t>();
  const int64_t skipped = values.size(0) - rank;
  const at::Tensor root = values.narrow(0, skipped, rank).sqrt();
  const at::Tensor basis = vectors.narrow(1, skipped, rank);
  return {basis * root, at::mm((basis / root).t(), x)};
}

struct Problem {
  at::Tensor z;      // [n, rank + 1], ones last
  at::Tensor sign;   // [n] of +-1
  at::Tensor ridge;  // [rank + 1], 0 for the bias
  double strength;

  double loss(const at::Tensor& w) const {
    const at::Tensor margin = sign * at::mv(z, w);
    const at::Tensor losses = at::softplus(-margin);
    return ((ridge * w * w).sum() / 2 + strength * losses.sum()).item<double>();
  }
};

void check(const at::Tensor& x, const at::Tensor& y, double strength) {
  TORCH_CHECK_VALUE(x.dim() == 2 && y.dim() == 1 && x.size(0) == y.size(0), "x has shape ",
                    x.sizes(), ", y ", y.sizes(), ", expected [n, width] and [n]");
  TORCH_CHECK_VALUE(y.eq(0).any().item<bool>() && y.eq(1).any().item<bool>() &&
                        y.eq(0).logical_or(y.eq(1)).all().item<bool>(),
                    "y has values other than 0 and 1, or one of them only; expected both");
  TORCH_CHECK_VALUE(strength > 0, "strength is ", strength, ", expected a number above 0");
}

}  // namespace

LogisticProbe logistic_probe(const at::Tensor& x, const at::Tensor& y, double strength,
                             double tolerance, int64_t steps) {
  check(x, y, strength);
  const Span span = span_of(x);
  const int64_t n = x.size(0), rank = span.z.size(1);
  const at::Tensor ones = at::ones({n, 1}, at::kDouble);
  Problem problem{at::cat({span.z, ones}, 1), y.to(at::kDouble) * 2 - 1,
                  at::cat({at::ones({rank}, at::kDouble), at::zeros({1}, at::kDouble)}), strength};
  at::Tensor w = at::zeros({rank + 1}, at::kDouble);
  LogisticProbe probe;
  double loss = problem.loss(w);
  for (; probe.steps < steps; ++probe.steps) {
    const at::Tensor margin = problem.sign * at::mv(problem.z, w);
    const at::Tensor wrong = at::sigmoid(-margin);
    const at::Tensor gradient =
        problem.ridge * w - at::mv(problem.z.t(), problem.sign * wrong) * strength;
    const double scale = strength * problem.z.abs().max().item<double>() * static_cast<double>(n);
    probe.converged = gradient.abs().max().item<double>() <= tolerance * scale;
    if (probe.converged) break;
    const at::Tensor curvature = (wrong * (1 - wrong) * strength).unsqueeze(1);
    at::Tensor hessian = at::mm(problem.z.t(), problem.z * curvature) + at::diag(problem.ridge);
    // Where all is told apart the bias is flat: a grain keeps the matrix invertible.
    hessian.select(0, rank).select(0, rank).add_(1e-12 * strength * static_cast<double>(n));
    const at::Tensor step = std::get<0>(at::linalg_solve_ex(hessian, gradient));
    double length = 1;
    at::Tensor next = w - step;
    double after = problem.loss(next);
    while (!(after <= loss) && length > 1e-10) {
      length /= 2;
      next = w - step * length;
      after = problem.loss(next);
    }
    if (!(after < loss)) {  // rounding is all that is left
      probe.converged = true;
      break;
    }
    w = next;
    loss = after;
  }
  const at::Tensor inner = w.narrow(0, 0, rank);
  probe.weight = span.axes.defined() ? at::mv(span.axes.t(), inner) : inner.clone();
  probe.bias = w[rank].item<double>();
  return probe;
}

}  // namespace lenswright
