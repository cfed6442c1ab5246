#include "stats/winsorise.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_winsorise {

TEST_CASE("each row is clamped to the quantile of its own magnitudes") {
  const at::Tensor x = at::sin(at::arange(70, at::kDouble)).reshape({7, 10}) *
                       at::arange(1, 8, at::kDouble).unsqueeze(1);
  for (const double share : {0.1, 0.55, 0.9, 1.0}) {
    const at::Tensor bound = at::quantile(x.abs(), share, 1, true);
    const at::Tensor expected = at::minimum(at::maximum(x, -bound), bound);
    REQUIRE((winsorised(x, share) - expected).abs().max().item<double>() < 1e-14);
    REQUIRE(at::equal(winsorised(x, share)[3], winsorised(x.narrow(0, 3, 1), share)[0]));
  }
  REQUIRE(at::equal(winsorised(x, 1.0), x));
  REQUIRE_THROWS_AS(winsorised(x, 0.0), c10::ValueError);
  REQUIRE_THROWS_AS(winsorised(x[0], 0.5), c10::ValueError);
}

}  // namespace lenswright::test_winsorise
