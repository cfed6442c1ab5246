#include "merge/pool.h"

#include <atomic>
#include <numeric>
#include <stdexcept>

#include "catch.h"

using namespace lenswright;

TEST_CASE("pool: every index once, again and again") {
  const int threads = GENERATE(1, 2, 5);
  Pool pool(threads);
  REQUIRE(pool.size() == threads);
  for (int64_t count = 0; count < 300; count += 37) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
    std::atomic<bool> known{true};
    pool.run(count, [&](int64_t i, int worker) {
      ++seen[static_cast<size_t>(i)];
      known = known && worker >= 0 && worker < threads;
    });
    REQUIRE(known);
    for (const auto& one : seen) REQUIRE(one == 1);
  }
}

TEST_CASE("pool: an exception reaches the caller, and the pool goes on") {
  Pool pool(GENERATE(1, 3));
  std::atomic<int> done{0};
  REQUIRE_THROWS_AS(pool.run(1000,
                             [&](int64_t i, int) {
                               if (i == 3) throw std::runtime_error("three");
                               ++done;
                             }),
                    std::runtime_error);
  REQUIRE(done < 1000);
  pool.run(10, [&](int64_t, int) { ++done; });
  REQUIRE(done >= 13 - 3);
}
