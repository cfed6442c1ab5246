#include "stats/histogram.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_histogram {

TEST_CASE("bins hold their left edge, the last one its right edge too") {
  Histogram bins(2, at::tensor({-1.0, 0.0, 2.0}, at::kDouble));
  const at::Tensor x = at::tensor({-5.0, -1.0, -0.5, 0.0, 2.0, 2.5}, at::kDouble).reshape({3, 2});
  bins.take(x, {{}, {}, at::tensor({1, 1, 1}, at::kLong), {}});
  REQUIRE(
      at::equal(bins.counts(), at::tensor({0, 0, 0, 0, 1, 2, 2, 1}, at::kLong).reshape({2, 4})));
  Histogram twice(bins.state());
  twice.merge(bins);
  REQUIRE(at::equal(twice.counts(), bins.counts() * 2));
  REQUIRE(at::equal(twice.at(at::tensor({1}, at::kLong)).counts()[0], twice.counts()[1]));
}

TEST_CASE("edges must ascend and agree") {
  REQUIRE_THROWS_AS(Histogram(1, at::tensor({1.0}, at::kDouble)), c10::ValueError);
  REQUIRE_THROWS_AS(Histogram(1, at::tensor({1.0, 1.0}, at::kDouble)), c10::ValueError);
  Histogram one(1, at::tensor({0.0, 1.0}, at::kDouble));
  REQUIRE_THROWS_AS(one.merge(Histogram(1, at::tensor({0.0, 2.0}, at::kDouble))), c10::ValueError);
}

}  // namespace lenswright::test_histogram
