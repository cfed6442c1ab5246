#include "directions/lda.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"
#include "tensors.h"

namespace lenswright::test_lda {
using test::covariance;
using test::farthest;

TEST_CASE("discriminants do not change what they say under a change of coordinates") {
  const at::Tensor s = covariance(60, 5), delta = at::arange(1, 6, at::kDouble);
  const at::Tensor a = covariance(9, 5) + at::eye(5, at::kDouble);
  const at::Tensor w = lda(s, delta);
  const at::Tensor moved = lda(at::mm(at::mm(a, s), a.t()), at::mv(a, delta));
  REQUIRE(farthest(at::mv(a.t(), moved), w) < 1e-8 * w.abs().max().item<double>());
  const at::Tensor variance = at::tensor({1.0, 0.0, 4.0}, at::kDouble);
  REQUIRE(at::equal(diagonal_lda(variance, at::tensor({2.0, 3.0, 8.0}, at::kDouble)),
                    at::tensor({2.0, 0.0, 2.0}, at::kDouble)));
}

}  // namespace lenswright::test_lda
