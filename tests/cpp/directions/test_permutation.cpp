#include "directions/permutation.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"

namespace lenswright::test_permutation {

TEST_CASE("shuffled labels keep their number, and are as often here as there") {
  const at::Tensor labels = label_permutations(10, 3, 4000, 5);
  REQUIRE(labels.sum(1).eq(3).all().item<bool>());
  // Each place is positive with probability 0.3: five standard errors.
  const at::Tensor often = labels.to(at::kDouble).mean(0);
  REQUIRE((often - 0.3).abs().max().item<double>() < 5 * std::sqrt(0.21 / 4000));
  REQUIRE(at::equal(label_permutations(10, 3, 7, 5), labels.narrow(0, 0, 7)));
  REQUIRE_FALSE(at::equal(label_permutations(10, 3, 7, 6), labels.narrow(0, 0, 7)));
  REQUIRE_THROWS_AS(label_permutations(10, 10, 1, 0), c10::ValueError);
}

}  // namespace lenswright::test_permutation
