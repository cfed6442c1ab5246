#include "directions/pca.h"

#include <ATen/ATen.h>

#include "catch.h"
#include "tensors.h"

namespace lenswright::test_pca {
namespace {

at::Tensor rows(int64_t n, int64_t width) {
  const at::Tensor i = at::arange(n * width, at::kDouble).reshape({n, width});
  return at::sin(i * 1.37) * (1 + at::arange(width, at::kDouble)) + 0.3;
}

using test::farthest;

}  // namespace

TEST_CASE("principal directions are eigenvectors, the greatest first") {
  const at::Tensor x = rows(50, 6), moment = at::mm(x.t(), x) / 50;
  const at::Tensor towards = at::ones({6}, at::kDouble);
  const Principal found = pca(moment, 3, towards);
  REQUIRE(farthest(at::mm(found.vectors, moment), found.values.unsqueeze(1) * found.vectors) <
          1e-9);
  REQUIRE(farthest(at::mm(found.vectors, found.vectors.t()), at::eye(3, at::kDouble)) < 1e-12);
  REQUIRE((found.values.diff() < 0).all().item<bool>());
  REQUIRE((at::mv(found.vectors, towards) > 0).all().item<bool>());
  const Principal turned = pca(moment, 3, -towards);
  REQUIRE(farthest(turned.vectors, -found.vectors) < 1e-12);
}

TEST_CASE("rows give the same through either Gram matrix") {
  for (const int64_t n : {5, 40}) {
    const at::Tensor x = rows(n, 12), towards = x.mean(0);
    const Principal direct = pca(at::mm(x.t(), x) / n, 3, towards);
    const Principal found = pca_of_rows(x, 3, towards);
    REQUIRE(farthest(found.vectors, direct.vectors) < 1e-8);
    REQUIRE(farthest(found.values, direct.values) < 1e-9);
  }
}

TEST_CASE("what lies across the data has its largest component positive") {
  const at::Tensor moment = at::diag(at::tensor({4.0, 1.0}, at::kDouble));
  const Principal found = pca(moment, 2, at::tensor({-1.0, 0.0}, at::kDouble));
  REQUIRE(at::equal(found.vectors, at::tensor({-1.0, 0.0, 0.0, 1.0}, at::kDouble).reshape({2, 2})));
  REQUIRE_THROWS_AS(pca(moment, 3, at::ones({2}, at::kDouble)), c10::ValueError);
  REQUIRE_THROWS_AS(pca(moment, 1, at::ones({3}, at::kDouble)), c10::ValueError);
}

}  // namespace lenswright::test_pca
