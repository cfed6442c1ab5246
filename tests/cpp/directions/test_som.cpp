#include "directions/som.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_som {

TEST_CASE("neurons of a map find the clusters of its samples") {
  const at::Tensor i = at::arange(300 * 4, at::kDouble).reshape({300, 4});
  const at::Tensor centres = at::tensor({10.0, 0.0, 0.0, 0.0, 0.0, 10.0, 0.0, 0.0}, at::kDouble);
  const at::Tensor which = at::arange(300, at::kLong).remainder(2);
  const at::Tensor x = centres.reshape({2, 4}).index_select(0, which) + at::sin(i * 1.7) * 0.2;
  const MapSettings settings{1, 4, 4000, 0.1, 0.33, 3};
  const at::Tensor neurons = som(x, settings);
  const at::Tensor nearest = at::cdist(centres.reshape({2, 4}), neurons).amin(1);
  REQUIRE(nearest.max().item<double>() < 0.5);
  REQUIRE(at::equal(som(x, settings), neurons));
  REQUIRE_FALSE(at::equal(som(x, {1, 4, 4000, 0.1, 0.33, 4}), neurons));
  REQUIRE_THROWS_AS(som(x, {0, 4, 10, 0.1, 0.33, 0}), c10::ValueError);
  REQUIRE_THROWS_AS(som(x, {1, 4, 10, 0.0, 0.33, 0}), c10::ValueError);
}

}  // namespace lenswright::test_som
