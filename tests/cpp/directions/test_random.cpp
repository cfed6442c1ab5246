#include "directions/random.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"

namespace lenswright::test_random {

TEST_CASE("random directions are unit vectors keyed by seed and row") {
  const at::Tensor all = random_directions(20, 33, 7);
  REQUIRE((all.norm(2, 1) - 1).abs().max().item<double>() < 1e-14);
  REQUIRE(at::equal(random_directions(5, 33, 7), all.narrow(0, 0, 5)));
  REQUIRE_FALSE(at::equal(random_directions(20, 33, 8), all));
  REQUIRE(random_directions(0, 4, 0).size(0) == 0);
}

TEST_CASE("random directions favour none") {
  const at::Tensor all = random_directions(2000, 8, 1);
  // Coordinates have mean 0 and variance 1/8; five standard errors.
  REQUIRE(all.mean(0).abs().max().item<double>() < 5 * std::sqrt(1.0 / 8 / 2000));
  const at::Tensor second = at::matmul(all.t(), all) / 2000 * 8;
  REQUIRE((second - at::eye(8, at::kDouble)).abs().max().item<double>() < 0.15);
}

TEST_CASE("widths without room are refused") {
  REQUIRE_THROWS_AS(random_directions(1, 0, 0), c10::ValueError);
  REQUIRE_THROWS_AS(random_directions(-1, 3, 0), c10::ValueError);
}

}  // namespace lenswright::test_random
