#include "merge/kernel.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

TEST_CASE("kernel: sums of any length") {
  const Philox random(0, "kernel");
  for (const int64_t n : {0, 1, 7, 8, 9, 16, 17, 1023, 1024}) {
    CAPTURE(n);
    std::vector<double> a, b;
    double product = 0, size = 0;
    for (int64_t i = 0; i < n; ++i) {
      a.push_back(random.normal(static_cast<uint64_t>(2 * i)));
      b.push_back(random.normal(static_cast<uint64_t>(2 * i + 1)));
      product += a.back() * b.back();
      size += std::abs(a.back());
    }
    REQUIRE(dot(a.data(), b.data(), n) == Approx(product).margin(1e-12));
    REQUIRE(sum_abs(a.data(), n) == Approx(size).margin(1e-12));
    REQUIRE(count_nonzero(a.data(), n) == n);
  }
}

TEST_CASE("kernel: what is no number") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> a = {1, nan, -inf, 0, -2};
  REQUIRE(count_not_finite(a.data(), 5) == 2);
  std::vector<double> out(5);
  magnitude(a.data(), 5, out.data());
  REQUIRE(out == std::vector<double>{1, inf, inf, 0, 2});
}

TEST_CASE("kernel: many words at once are the words one by one") {
  const Philox random(0x123456789abcdef0, "words");
  std::vector<uint32_t> out(1000);
  for (const uint64_t first : {0ull, 1ull, 3ull, 4ull, 63ull, 1ull << 34}) {
    random.words(first, 1000, out.data());
    bool right = true;
    for (uint64_t i = 0; i < 1000; ++i) {
      right = right && out[i] == random.block((first + i) / 4)[(first + i) % 4];
    }
    REQUIRE(right);
  }
}
