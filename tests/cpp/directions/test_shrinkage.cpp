#include "directions/shrinkage.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"

namespace lenswright::test_shrinkage {
namespace {

at::Tensor covariance(int64_t n, int64_t width) {
  const at::Tensor i = at::arange(n * width, at::kDouble).reshape({n, width});
  const at::Tensor x = at::sin(i * 1.37 + i.square() * 0.01);
  const at::Tensor centred = x - x.mean(0, true);
  return at::mm(centred.t(), centred) / n;
}

double worst(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace

TEST_CASE("shares of shrinkage are those of their formulas") {
  const int64_t n = 20, p = 6;
  const at::Tensor s = covariance(n, p);
  const double square = at::mm(s, s).trace().item<double>(), trace = s.trace().item<double>();
  const double expected =
      ((1 - 2.0 / p) * square + trace * trace) / ((n + 1 - 2.0 / p) * (square - trace * trace / p));
  REQUIRE(std::abs(oracle_share(s, n) - std::min(1.0, expected)) < 1e-12);
  REQUIRE(oracle_share(at::eye(p, at::kDouble), n) == 1.0);
  REQUIRE(worst(shrunk(s, 1.0), at::eye(p, at::kDouble) * (trace / p)) < 1e-14);
  REQUIRE(at::equal(shrunk(s, 0.0), s));
  REQUIRE_THROWS_AS(shrunk(s, 1.5), c10::ValueError);
}

}  // namespace lenswright::test_shrinkage
