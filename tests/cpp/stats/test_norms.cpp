#include "stats/norms.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_norms {

TEST_CASE("norms have moments, extremes with where they come from, and quantiles") {
  const at::Tensor x = at::sin(at::arange(60, at::kDouble)).reshape({20, 3}) * 7;
  const at::Tensor order = at::arange(20, at::kLong);
  const Samples samples{{}, order * 2, at::zeros({20}, at::kLong), order};
  Norms kept(1, 2, 0.01);
  kept.take(x, samples);
  const at::Tensor norms = x.norm(2, 1);
  REQUIRE((kept.moments().mean()[0] - norms.mean()).abs().item<double>() < 1e-13);
  REQUIRE((kept.moments().variance()[0] - norms.var()).abs().item<double>() < 1e-12);
  const int64_t most = norms.argmax().item<int64_t>();
  REQUIRE(kept.extremes().prompts()[0][0][0].item<int64_t>() == most);
  REQUIRE(kept.extremes().places()[0][0][0].item<int64_t>() == most * 2);
  const double median = std::get<0>(norms.sort(0))[9].item<double>();
  REQUIRE(std::abs(kept.quantiles().quantile(0.5).item<double>() - median) <= 0.0101 * median);
  Norms again(kept.state());
  again.merge(kept);
  REQUIRE(again.moments().count().item<int64_t>() == 40);
  REQUIRE(again.at(at::zeros({1}, at::kLong)).moments().count().item<int64_t>() == 40);
}

}  // namespace lenswright::test_norms
