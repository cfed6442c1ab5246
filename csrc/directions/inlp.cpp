#include "directions/inlp.h"

#include <ATen/ATen.h>

#include <vector>

#include "directions/logistic.h"

namespace lenswright {
namespace {

constexpr double kNothing = 1e-12;  // a probe of this length, against the first, has no direction

double accuracy_of(const LogisticProbe& probe, const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor said = at::mv(x, probe.weight) + probe.bias > 0;
  return said.eq(y > 0.5).to(at::kDouble).mean().item<double>();
}

}  // namespace

NullSpaces inlp(const at::Tensor& x, const at::Tensor& y, int64_t k, double strength) {
  TORCH_CHECK_VALUE(x.dim() == 2 && k >= 1 && k <= x.size(1), "k is ", k, ", expected 1 to ",
                    x.size(-1));
  at::Tensor left = x.clone();
  std::vector<at::Tensor> found;
  std::vector<double> accuracies;
  double first = 0;
  for (int64_t i = 0; i < k; ++i) {
    const LogisticProbe probe = logistic_probe(left, y, strength);
    at::Tensor w = probe.weight;
    const double length = w.norm().item<double>();
    if (i == 0) first = length;
    if (!(length > kNothing * first)) break;
    accuracies.push_back(accuracy_of(probe, left, y));
    // Twice: once leaves what rounding put back.
    for (int round = 0; round < 2; ++round) {
      for (const at::Tensor& v : found) w = w - v * at::dot(v, w);
      w = w / w.norm();
    }
    found.push_back(w);
    left = left - at::outer(at::mv(left, w), w);
  }
  TORCH_CHECK_VALUE(!found.empty(), "x: the classes do not differ, there is no direction to find");
  return {at::stack(found), at::tensor(accuracies, at::kDouble)};
}

}  // namespace lenswright
