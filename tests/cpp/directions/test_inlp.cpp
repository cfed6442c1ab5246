#include "directions/inlp.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"
#include "directions/logistic.h"

namespace lenswright::test_inlp {
namespace {

struct Data {
  at::Tensor x, y;

  Data(int64_t n, int64_t width) {
    const at::Tensor i = at::arange(n * width, at::kDouble).reshape({n, width});
    y = at::arange(n, at::kLong).remainder(2).to(at::kDouble);
    x = at::sin(i * 1.37 + i.square() * 0.013);
    x.select(1, 0).add_(y * 0.8);
  }
};

}  // namespace

TEST_CASE("null spaces are orthonormal, and each takes from what the probe could say") {
  const Data data(80, 10);
  const NullSpaces found = inlp(data.x, data.y, 4, 10.0);
  const at::Tensor gram = at::mm(found.basis, found.basis.t());
  REQUIRE((gram - at::eye(4, at::kDouble)).abs().max().item<double>() < 1e-12);
  const LogisticProbe first = logistic_probe(data.x, data.y, 10.0);
  REQUIRE((found.basis[0] - first.weight / first.weight.norm()).abs().max().item<double>() < 1e-9);
  const at::Tensor left = data.x - at::mm(at::mm(data.x, found.basis.t()), found.basis);
  REQUIRE(logistic_probe(left, data.y, 10.0).weight.norm().item<double>() <
          first.weight.norm().item<double>());
  REQUIRE(found.accuracy[0].item<double>() > 0.6);
  REQUIRE_THROWS_AS(inlp(data.x, data.y, 11, 1.0), c10::ValueError);
}

}  // namespace lenswright::test_inlp
