#include "directions/leace.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_leace {
namespace {

struct Data {
  at::Tensor x, z, centred, covariance, cross;

  Data(int64_t n, int64_t width, int64_t classes) {
    const at::Tensor i = at::arange(n * width, at::kDouble).reshape({n, width});
    const at::Tensor which = at::arange(n, at::kLong).remainder(classes);
    z = at::one_hot(which, classes).to(at::kDouble);
    const at::Tensor means = at::cos(at::arange(classes * width, at::kDouble) * 2.3);
    x = at::sin(i * 1.37 + i.square() * 0.013) + at::mm(z, means.reshape({classes, width}));
    centred = x - x.mean(0, true);
    covariance = at::mm(centred.t(), centred) / n;
    cross = at::mm(centred.t(), z - z.mean(0, true)) / n;
  }

  at::Tensor erased(const Erasure& e) const {
    return centred - at::mm(at::mm(centred, e.read.t()), e.write);
  }
};

double size(const at::Tensor& a) { return a.abs().max().item<double>(); }

}  // namespace

TEST_CASE("nothing linear is left of an erased concept") {
  for (const int64_t classes : {2, 3}) {
    for (const int64_t width : {6, 90}) {  // 90: more coordinates than samples
      const Data data(70, width, classes);
      const Erasure found = leace(data.covariance, data.cross);
      REQUIRE(found.read.size(0) == classes - 1);
      const at::Tensor left = at::mm(data.erased(found).t(), data.z) / 70;
      REQUIRE(size(left) < 1e-10);
      const at::Tensor once = at::mm(found.read, found.write.t());  // a projection: read write = I
      REQUIRE(size(once - at::eye(classes - 1, at::kDouble)) < 1e-9);
    }
  }
}

TEST_CASE("no other erasure changes less") {
  const Data data(200, 5, 2);
  const Erasure best = leace(data.covariance, data.cross);
  const double least = (data.erased(best) - data.centred).square().sum().item<double>();
  const at::Tensor delta = best.write[0] / best.write[0].norm();
  const Erasure orthogonal{delta.unsqueeze(0), delta.unsqueeze(0)};
  REQUIRE(size(at::mm(data.erased(orthogonal).t(), data.z)) < 1e-8);
  REQUIRE(least < (data.erased(orthogonal) - data.centred).square().sum().item<double>());
  // Any projection that erases writes delta and reads r with r delta = 1: try many r.
  for (int64_t i = 0; i < 50; ++i) {
    at::Tensor read = best.read[0] + at::sin(at::arange(5, at::kDouble) * (i + 1)) * 0.1;
    read = read / at::dot(read, best.write[0]);
    const Erasure other{read.unsqueeze(0), best.write};
    REQUIRE(least <= (data.erased(other) - data.centred).square().sum().item<double>());
  }
}

TEST_CASE("two classes have a closed form") {
  const Data data(200, 8, 2);
  const at::Tensor delta = data.x.slice(0, 1, 200, 2).mean(0) - data.x.slice(0, 0, 200, 2).mean(0);
  const Erasure closed = binary_leace(data.covariance, delta);
  const Erasure found = leace(data.covariance, data.cross);
  REQUIRE(size(at::mm(closed.write.t(), closed.read) - at::mm(found.write.t(), found.read)) < 1e-9);
}

TEST_CASE("classes that do not differ leave nothing to erase") {
  const Data data(40, 4, 2);
  REQUIRE(leace(data.covariance, at::zeros({4, 2}, at::kDouble)).read.size(0) == 0);
  REQUIRE(binary_leace(data.covariance, at::zeros({4}, at::kDouble)).read.size(0) == 0);
  REQUIRE_THROWS_AS(leace(data.covariance, at::zeros({5, 2}, at::kDouble)), c10::ValueError);
  REQUIRE_THROWS_AS(binary_leace(data.covariance, at::zeros({5}, at::kDouble)), c10::ValueError);
}

}  // namespace lenswright::test_leace
