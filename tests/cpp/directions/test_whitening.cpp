#include "directions/whitening.h"

#include <ATen/ATen.h>

#include "catch.h"
#include "tensors.h"

namespace lenswright::test_whitening {
using test::covariance;
using test::farthest;

TEST_CASE("a covariance is solved, and one without full rank by its pseudo-inverse") {
  const at::Tensor full = covariance(60, 7), right = at::ones({7, 2}, at::kDouble);
  REQUIRE(farthest(at::mm(full, solve_covariance(full, right)), right) < 1e-10);
  const at::Tensor flat = covariance(4, 7);
  REQUIRE(farthest(solve_covariance(flat, right), at::mm(at::linalg_pinv(flat, 1e-12), right)) <
          1e-8);
  const Whitening w = whitening(flat);
  // W S W is the projection on the three dimensions that four samples reach.
  const at::Tensor white = at::mm(at::mm(w.forward, flat), w.forward);
  REQUIRE(farthest(at::mm(white, white), white) < 1e-10);
  REQUIRE(std::abs(white.trace().item<double>() - 3) < 1e-10);
  REQUIRE(farthest(at::mm(w.forward, w.backward), white) < 1e-10);
  REQUIRE_THROWS_AS(solve_covariance(full * std::nan(""), right), c10::ValueError);
}

}  // namespace lenswright::test_whitening
