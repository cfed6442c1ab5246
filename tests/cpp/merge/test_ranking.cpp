#include "merge/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

namespace {

void check(const std::vector<double>& sizes) {
  std::vector<int32_t> order(sizes.size()), expected(sizes.size()), found(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return sizes[a] != sizes[b] ? sizes[a] < sizes[b] : a > b;
  });
  for (size_t i = 0; i < order.size(); ++i) expected[order[i]] = static_cast<int32_t>(i);
  Ranking ranking;
  for (int twice = 0; twice < 2; ++twice) {
    ranking.rank(sizes.data(), static_cast<int64_t>(sizes.size()), found.data());
    REQUIRE(found == expected);
  }
}

}  // namespace

TEST_CASE("ranking: as a sort has it, whatever the sizes") {
  const double infinity = std::numeric_limits<double>::infinity();
  const Philox random(5, "ranking");
  for (const int64_t n : {1, 2, 3, 41, 255, 256, 1000, 5003, 70000}) {
    CAPTURE(n);
    std::vector<double> plain, coarse, heavy, same(static_cast<size_t>(n), 2.0),
        zero(static_cast<size_t>(n), 0.0), infinite, grid;
    for (int64_t i = 0; i < n; ++i) {
      const double x = std::abs(random.normal(static_cast<uint64_t>(i)));
      plain.push_back(x);
      coarse.push_back(std::round(3 * x));
      heavy.push_back(std::exp(40 * x));
      infinite.push_back(i % 3 == 0 ? infinity : x);
      // As differences of narrow numbers: few sizes, some of them hardly apart.
      grid.push_back(std::ldexp(std::round(20 * x), -20) + (i % 101 == 0 ? 0x1p-34 : 0));
    }
    for (const auto& sizes : {plain, coarse, heavy, same, zero, infinite, grid}) check(sizes);
  }
}
