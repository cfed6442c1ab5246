#include "directions/whitening.h"

#include <ATen/ATen.h>

#include "catch.h"
#include "directions/lda.h"
#include "directions/shrinkage.h"

namespace lenswright {
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

TEST_CASE("discriminants do not change what they say under a change of coordinates") {
  const at::Tensor s = covariance(60, 5), delta = at::arange(1, 6, at::kDouble);
  const at::Tensor a = covariance(9, 5) + at::eye(5, at::kDouble);
  const at::Tensor w = lda(s, delta);
  const at::Tensor moved = lda(at::mm(at::mm(a, s), a.t()), at::mv(a, delta));
  REQUIRE(worst(at::mv(a.t(), moved), w) < 1e-8 * w.abs().max().item<double>());
  const at::Tensor variance = at::tensor({1.0, 0.0, 4.0}, at::kDouble);
  REQUIRE(at::equal(diagonal_lda(variance, at::tensor({2.0, 3.0, 8.0}, at::kDouble)),
                    at::tensor({2.0, 0.0, 2.0}, at::kDouble)));
}

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

}  // namespace lenswright
