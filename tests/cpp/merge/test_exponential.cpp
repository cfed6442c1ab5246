#include "merge/exponential.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

TEST_CASE("exponential: as the library's, to a unit or two in the last place") {
  const Philox random(2, "exponential");
  std::vector<double> x = {0, -1e-300, -1e-9, -0.5, -1, -700, -707.9};
  while (x.size() < 20'001) {
    const double far = x.size() % 3 == 0 ? 100 : 1;
    x.push_back(-far * std::abs(random.normal(x.size())));
  }
  const auto n = static_cast<int64_t>(x.size());
  std::vector<double> out(x.size());
  for (const double shift : {0.0, 1.25}) {
    std::vector<double> shifted = x;
    for (double& value : shifted) value += shift;
    exponentials(shifted.data(), shift, n, out.data());
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp(shifted[i] - shift);
      worst = std::max(worst, std::abs(out[i] - expected) / expected);
    }
    REQUIRE(worst < 4e-16);
  }
}

TEST_CASE("exponential: what is far below, and what is no number") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const std::vector<double> x = {-inf, -1e300, -746, nan, 0};
  std::vector<double> out(5);
  exponentials(x.data(), 0, 5, out.data());
  REQUIRE(out[0] == 0);
  REQUIRE(out[1] == 0);
  REQUIRE(out[2] == 0);
  REQUIRE(std::isnan(out[3]));
  REQUIRE(out[4] == 1);
  exponentials(x.data(), nan, 5, out.data());
  REQUIRE(std::isnan(out[4]));
}

TEST_CASE("exponential: of small numbers") {
  const Philox random(3, "small");
  std::vector<double> x = {0, 0.125, -0.125, 1e-300};
  while (x.size() < 20'001) x.push_back((2 * random.uniform(x.size()) - 1) / 8);
  std::vector<double> out(x.size());
  small_exponentials(x.data(), static_cast<int64_t>(x.size()), out.data());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    worst = std::max(worst, std::abs(out[i] - std::exp(x[i])) / std::exp(x[i]));
  }
  REQUIRE(worst < 4e-16);
}
