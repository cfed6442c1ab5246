#include "merge/bracket.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

TEST_CASE("bracket: sizes go where they belong, in their order") {
  const double inf = std::numeric_limits<double>::infinity();
  const Philox random(6, "bracket");
  for (const Bracket bracket : {Bracket{0.5, 1, 1.5}, Bracket{-1, 0, 2}, Bracket{1, 1, 1},
                                Bracket{0.5, 0.5, inf}, Bracket{1, 1.5, 1.5}}) {
    for (const int64_t n : {0, 1, 7, 8, 9, 512}) {
      CAPTURE(bracket.low, bracket.high, n);
      std::vector<double> sizes, expected, inside(static_cast<size_t>(n) + 8);
      Bracket::Counts wanted, counts;
      for (int64_t i = 0; i < n; ++i) {
        const double x = std::abs(random.normal(static_cast<uint64_t>(i)));
        sizes.push_back(i % 11 == 3 ? inf : i % 2 == 0 ? std::round(2 * x) / 2 : x);
        const double size = sizes.back();
        if (size == bracket.low) {
          ++wanted.equal[0];
        } else if (size == bracket.middle) {
          ++wanted.equal[1];
        } else if (size == bracket.high) {
          ++wanted.equal[2];
        } else if (size > bracket.high) {
          ++wanted.above;
        } else if (size > bracket.low) {
          expected.push_back(size);
        }
      }
      const int64_t found = bracket.sort(sizes.data(), n, counts, inside.data());
      inside.resize(static_cast<size_t>(found));
      REQUIRE(inside == expected);
      REQUIRE(counts.above == wanted.above);
      for (int i = 0; i < 3; ++i) REQUIRE(counts.equal[i] == wanted.equal[i]);
    }
  }
}
