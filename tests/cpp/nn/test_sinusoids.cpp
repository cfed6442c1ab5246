#include "nn/sinusoids.h"

#include <cmath>

#include "tensors.h"

namespace lenswright::test_sinusoids {

TEST_CASE("sinusoidal positions are sines, then cosines, of falling frequencies") {
  for (int64_t d : {4, 10, 11, 30}) {
    const at::Tensor table = sinusoids(70, d);
    REQUIRE(table.sizes() == at::IntArrayRef({70, d}));
    REQUIRE(table.scalar_type() == at::kDouble);
    const int64_t half = d / 2;
    for (int64_t p = 0; p < 70; ++p) {
      for (int64_t i = 0; i < half; ++i) {
        const double place = static_cast<double>(i) / static_cast<double>(half - 1);
        const double angle = static_cast<double>(p) * std::pow(10000.0, -place);
        REQUIRE(std::abs(table[p][i].item<double>() - std::sin(angle)) < 2e-5);
        REQUIRE(std::abs(table[p][half + i].item<double>() - std::cos(angle)) < 2e-5);
      }
      if (d % 2 == 1) REQUIRE(table[p][d - 1].item<double>() == 0.0);
    }
  }
}

TEST_CASE("sinusoidal positions are float64's, of frequencies that are float32's") {
  const at::Tensor table = sinusoids(2, 30);
  const at::Tensor sine = table[1].narrow(0, 0, 15), cosine = table[1].narrow(0, 15, 15);
  const at::Tensor angle = at::atan2(sine, cosine);  // at position 1: the frequency
  REQUIRE((angle / angle.to(at::kFloat) - 1).abs().max().item<double>() < 1e-15);
}

TEST_CASE("sinusoidal positions take two frequencies at least") {
  for (int64_t d : {0, 1, 2, 3}) REQUIRE_THROWS_AS(sinusoids(5, d), c10::ValueError);
  REQUIRE(at::isfinite(sinusoids(5, 4)).all().item<bool>());
}

TEST_CASE("sinusoidal positions do not depend on how many there are") {
  REQUIRE(test::same(sinusoids(70, 30).narrow(0, 0, 9), sinusoids(9, 30)));
}

}  // namespace lenswright::test_sinusoids
