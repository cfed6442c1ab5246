#include "stats/quantiles.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"

namespace lenswright::test_quantiles {
namespace {

Samples cells(int64_t count, int64_t cell = 0) {
  return {{}, {}, at::full({count}, cell, at::kLong), {}};
}

// Values over eleven decades, both signs, zeros among them.
at::Tensor samples(int64_t count) {
  const at::Tensor i = at::arange(count, at::kDouble);
  const at::Tensor size = at::pow(10.0, at::sin(i * 0.7) * 5);
  at::Tensor x = at::stack({size * at::cos(i * 2.1), at::sin(i * 1.9)}, 1);
  x.index_put_({at::arange(0, count, 17, at::kLong), at::zeros({1}, at::kLong)},
               at::zeros({1}, at::kDouble));
  return x;
}

}  // namespace

TEST_CASE("every quantile is right to the share that was promised") {
  const at::Tensor x = samples(2001);
  const at::Tensor sorted = std::get<0>(x.sort(0));
  for (const double error : {0.001, 0.01, 0.1}) {
    Quantiles sketch(1, 2, error);
    sketch.take(x, cells(2001));
    for (const double q : {0.0, 0.001, 0.1, 0.25, 0.5, 0.77, 0.99, 1.0}) {
      const at::Tensor exact = sorted[static_cast<int64_t>(std::floor(q * 2000))];
      const at::Tensor off = (sketch.quantile(q)[0] - exact).abs();
      const at::Tensor bound = exact.abs() * error * (1 + 1e-9) + Quantiles::kSmallest;
      REQUIRE((off <= bound).all().item<bool>());
    }
    REQUIRE(at::equal(sketch.count()[0], at::full({2}, 2001, at::kLong)));
  }
}

TEST_CASE("order, batches and merging change nothing") {
  const at::Tensor x = samples(300);
  Quantiles whole(2, 2, 0.01), backward(2, 2, 0.01), first(2, 2, 0.01), second(2, 2, 0.01);
  whole.take(x, cells(300));
  for (int64_t i = 299; i >= 0; --i) backward.take(x.narrow(0, i, 1), cells(1));
  first.take(x.narrow(0, 0, 120), cells(120));
  second.take(x.narrow(0, 120, 180), cells(180));
  second.merge(first);
  Quantiles saved(second.state());
  for (const double q : {0.0, 0.3, 0.5, 1.0}) {
    for (const Quantiles* other : {&backward, &second, &saved}) {
      REQUIRE(at::equal(other->quantile(q)[0], whole.quantile(q)[0]));
    }
    REQUIRE(whole.quantile(q)[1].isnan().all().item<bool>());
  }
  REQUIRE(at::equal(whole.at(at::zeros({1}, at::kLong)).quantile(0.5)[0], whole.quantile(0.5)[0]));
}

TEST_CASE("magnitudes too small to matter count as zero") {
  Quantiles sketch(1, 1, 0.01);
  sketch.take(at::tensor({1e-10, -1e-9, 0.0}, at::kDouble).unsqueeze(1), cells(3));
  REQUIRE(sketch.quantile(0.5).item<double>() == 0.0);
  REQUIRE_THROWS_AS(sketch.quantile(1.5), c10::ValueError);
  REQUIRE_THROWS_AS(sketch.merge(Quantiles(1, 1, 0.02)), c10::ValueError);
  REQUIRE_THROWS_AS(Quantiles(1, 1, 0.9), c10::ValueError);
}

}  // namespace lenswright::test_quantiles
