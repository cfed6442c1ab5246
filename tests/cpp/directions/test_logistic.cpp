#include "directions/logistic.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_logistic {
namespace {

struct Data {
  at::Tensor x, y;

  Data(int64_t n, int64_t width) {
    const at::Tensor i = at::arange(n * width, at::kDouble).reshape({n, width});
    y = at::arange(n, at::kLong).remainder(2).to(at::kDouble);
    x = at::sin(i * 1.37 + i.square() * 0.013);
    x.select(1, 0).add_(y * 0.8);
  }
};

// Of |w|²/2 + strength * sum of log-losses, by the weight and by the bias.
at::Tensor gradient(const Data& data, const LogisticProbe& probe, double strength) {
  const at::Tensor p = at::sigmoid(at::mv(data.x, probe.weight) + probe.bias);
  const at::Tensor off = p - data.y;
  return at::cat({probe.weight + at::mv(data.x.t(), off) * strength, off.sum().reshape({1})});
}

}  // namespace

TEST_CASE("a probe is where the gradient vanishes, in few and in many dimensions") {
  for (const int64_t width : {3, 200}) {
    for (const double strength : {0.01, 1.0, 100.0}) {
      const Data data(60, width);
      const LogisticProbe probe = logistic_probe(data.x, data.y, strength);
      REQUIRE(probe.converged);
      const double scale = strength * 60;
      REQUIRE(gradient(data, probe, strength).abs().max().item<double>() < 1e-8 * scale);
    }
  }
}

TEST_CASE("labels other than two are refused") {
  const Data data(10, 2);
  REQUIRE_THROWS_AS(logistic_probe(data.x, at::zeros({10}, at::kDouble), 1.0), c10::ValueError);
  REQUIRE_THROWS_AS(logistic_probe(data.x, data.y * 2, 1.0), c10::ValueError);
  REQUIRE_THROWS_AS(logistic_probe(data.x, data.y, 0.0), c10::ValueError);
}

}  // namespace lenswright::test_logistic
