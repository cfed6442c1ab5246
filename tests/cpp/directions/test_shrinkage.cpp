#include "directions/shrinkage.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"
#include "tensors.h"

namespace lenswright::test_shrinkage {
using test::covariance;
using test::farthest;

TEST_CASE("shares of shrinkage are those of their formulas") {
  const int64_t n = 20, p = 6;
  const at::Tensor s = covariance(n, p);
  const double square = at::mm(s, s).trace().item<double>(), trace = s.trace().item<double>();
  const double expected =
      ((1 - 2.0 / p) * square + trace * trace) / ((n + 1 - 2.0 / p) * (square - trace * trace / p));
  REQUIRE(std::abs(oracle_share(s, n) - std::min(1.0, expected)) < 1e-12);
  REQUIRE(oracle_share(at::eye(p, at::kDouble), n) == 1.0);
  REQUIRE(farthest(shrunk(s, 1.0), at::eye(p, at::kDouble) * (trace / p)) < 1e-14);
  REQUIRE(at::equal(shrunk(s, 0.0), s));
  REQUIRE_THROWS_AS(shrunk(s, 1.5), c10::ValueError);
}

}  // namespace lenswright::test_shrinkage
