#include "merge/exact_quantiles.h"

#include <algorithm>

#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

TEST_CASE("quantiles: as of the sorted list") {
  const int64_t count = GENERATE(1, 2, 3, 4, 101, 20'000);
  const Philox random(3, "quantiles");
  std::vector<double> sizes;
  for (int64_t i = 0; i < count; ++i) sizes.push_back(random.uniform(static_cast<uint64_t>(i)));
  const std::vector<double> asked = {0.0, 0.25, 0.5, 0.75, 1.0};
  ExactQuantiles quantiles(count, asked, 1, 1);
  quantiles.sample(0, sizes.data(), count);
  quantiles.sampled();
  do {
    for (int64_t at = 0; at < count; at += 1000) {
      quantiles.read(0, sizes.data() + at, std::min<int64_t>(1000, count - at));
    }
  } while (!quantiles.finish());
  std::sort(sizes.begin(), sizes.end());
  const std::vector<double> found = quantiles.values();
  for (size_t i = 0; i < asked.size(); ++i) {
    const double place = asked[i] * static_cast<double>(count - 1);
    const auto below = static_cast<size_t>(place), above = std::min(below + 1, sizes.size() - 1);
    const double share = place - static_cast<double>(below);
    REQUIRE(found[i] == Approx(sizes[below] + share * (sizes[above] - sizes[below])));
  }
}
