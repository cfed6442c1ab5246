#include "base/philox.h"

#include <cmath>
#include <set>

#include "catch.h"

using namespace lenswright;

TEST_CASE("philox: the known answers of its authors") {
  using Words = std::array<uint32_t, 4>;
  const uint32_t ones = 0xffffffff;
  REQUIRE(philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
          Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  REQUIRE(philox4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
          Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  REQUIRE(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
      Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("philox: seed, stream and index all matter") {
  const Philox a(1, "w"), b(2, "w"), c(1, "v");
  std::set<double> values;
  for (const uint64_t i : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40}) {
    for (const Philox& p : {a, b, c}) values.insert(p.normal(i));
  }
  REQUIRE(values.size() == 9);
  REQUIRE(Philox(1, "w").normal(7) == a.normal(7));
}

TEST_CASE("philox: moments") {
  const Philox random(0, "moments");
  const int n = 200'000;
  double sum = 0, squares = 0, fourth = 0, uniform = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal(static_cast<uint64_t>(i));
    const double u = random.uniform(static_cast<uint64_t>(i));
    REQUIRE((u >= 0 && u < 1 && std::isfinite(x)));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    uniform += u;
  }
  REQUIRE(std::abs(sum / n) < 0.01);
  REQUIRE(std::abs(squares / n - 1) < 0.015);
  REQUIRE(std::abs(fourth / n - 3) < 0.1);
  REQUIRE(std::abs(uniform / n - 0.5) < 0.004);
}
