#include "directions/whitening.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_whitening {
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

TEST_CASE("a covariance is solved, and one without full rank by its pseudo-inverse") {
  const at::Tensor full = covariance(60, 7), right = at::ones({7, 2}, at::kDouble);
  REQUIRE(worst(at::mm(full, solve_covariance(full, right)), right) < 1e-10);
  const at::Tensor flat = covariance(4, 7);
  REQUIRE(worst(solve_covariance(flat, right), at::mm(at::linalg_pinv(flat, 1e-12), right)) < 1e-8);
  const Whitening w = whitening(flat);
  // W S W is the projection on the three dimensions that four samples reach.
  const at::Tensor white = at::mm(at::mm(w.forward, flat), w.forward);
  REQUIRE(worst(at::mm(white, white), white) < 1e-10);
  REQUIRE(std::abs(white.trace().item<double>() - 3) < 1e-10);
  REQUIRE(worst(at::mm(w.forward, w.backward), white) < 1e-10);
  REQUIRE_THROWS_AS(solve_covariance(full * std::nan(""), right), c10::ValueError);
}

}  // namespace lenswright::test_whitening
