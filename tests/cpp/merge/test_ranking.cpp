#include "merge/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

namespace {

// Of each size how many are smaller, and how many are not larger but itself.
void check(const std::vector<double>& sizes) {
  std::vector<double> sorted = sizes;
  std::ranges::sort(sorted);
  std::vector<int32_t> expected, found(sizes.size());
  for (const double size : sizes) {
    const auto smaller = std::ranges::lower_bound(sorted, size) - sorted.begin();
    const auto others = std::ranges::upper_bound(sorted, size) - sorted.begin() - 1;
    expected.push_back(static_cast<int32_t>(smaller + others));
  }
  double most = 0;
  for (const double size : sizes) most = std::isinf(size) ? most : std::max(most, size);
  Ranking ranking;
  for (int twice = 0; twice < 2; ++twice) {
    ranking.rank(sizes.data(), static_cast<int64_t>(sizes.size()), most, found.data());
    REQUIRE(found == expected);
  }
}

}  // namespace

TEST_CASE("ranking: as a sort has it, whatever the sizes") {
  const double infinity = std::numeric_limits<double>::infinity();
  const Philox random(5, "ranking");
  for (const int64_t n : {1, 2, 3, 41, 255, 256, 1000, 5003, 32767, 32768, 70000}) {
    CAPTURE(n);
    std::vector<double> plain, coarse, heavy, same(static_cast<size_t>(n), 2.0),
        zero(static_cast<size_t>(n), 0.0), infinite, tiny, grid;
    for (int64_t i = 0; i < n; ++i) {
      const double x = std::abs(random.normal(static_cast<uint64_t>(i)));
      plain.push_back(x);
      coarse.push_back(std::round(3 * x));
      heavy.push_back(std::exp(40 * x));
      infinite.push_back(i % 3 == 0 ? infinity : x);
      tiny.push_back(std::ldexp(std::round(9 * x), -1074));
      // As differences of narrow numbers: few sizes, some of them hardly apart.
      grid.push_back(std::ldexp(std::round(20 * x), -20) + (i % 101 == 0 ? 0x1p-34 : 0));
    }
    for (const auto& sizes : {plain, coarse, heavy, same, zero, infinite, tiny, grid}) check(sizes);
  }
}
