#include "directions/som.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"

namespace lenswright {
namespace {

void check(const at::Tensor& x, const MapSettings& s) {
  TORCH_CHECK_VALUE(x.dim() == 2 && x.size(0) > 0, "x has shape ", x.sizes(),
                    ", expected [n, width] with at least one");
  TORCH_CHECK_VALUE(s.rows > 0 && s.columns > 0 && s.steps > 0, "the map has ", s.rows, " by ",
                    s.columns, " neurons and ", s.steps, " steps, expected at least one of each");
  TORCH_CHECK_VALUE(s.rate > 0 && s.rate <= 1 && s.spread > 0, "rate is ", s.rate, ", spread ",
                    s.spread, ", expected a rate in (0, 1] and a spread above 0");
}

int64_t drawn(const Philox& random, int64_t index, int64_t count) {
  const auto at = static_cast<int64_t>(random.uniform(static_cast<uint64_t>(index)) *
                                       static_cast<double>(count));
  return std::min(at, count - 1);
}

}  // namespace

at::Tensor som(const at::Tensor& x, const MapSettings& s) {
  check(x, s);
  const at::Tensor samples = x.to(at::kDouble).contiguous();
  const int64_t n = samples.size(0), units = s.rows * s.columns;
  const Philox start(s.seed, "map start"), order(s.seed, "map order");
  at::Tensor first = at::empty({units}, at::kLong);
  for (int64_t i = 0; i < units; ++i) first[i] = drawn(start, i, n);
  at::Tensor neurons = samples.index_select(0, first);
  const at::Tensor unit = at::arange(units, at::kLong);
  const at::Tensor row = unit.div(s.columns, "floor").to(at::kDouble);
  const at::Tensor column = unit.remainder(s.columns).to(at::kDouble);
  for (int64_t step = 0; step < s.steps; ++step) {
    const double shrink = 1 + 2 * static_cast<double>(step) / static_cast<double>(s.steps);
    const double rate = s.rate / shrink, spread = s.spread / shrink;
    const at::Tensor away = samples[drawn(order, step, n)] - neurons;
    const int64_t nearest = away.square().sum(1).argmin().item<int64_t>();
    const at::Tensor distance = (row - static_cast<double>(nearest / s.columns)).square() +
                                (column - static_cast<double>(nearest % s.columns)).square();
    const at::Tensor pull = (distance * (-0.5 / (spread * spread))).exp() * rate;
    neurons.add_(pull.unsqueeze(1) * away);
  }
  return neurons;
}

}  // namespace lenswright
