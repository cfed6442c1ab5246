#include "base/parallel.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "catch.h"

using namespace lenswright;

TEST_CASE("parallel_for runs every index once") {
  for (const int threads : {0, 1, 2, 7}) {
    std::vector<std::atomic<int>> seen(1000);
    parallel_for(1000, threads, [&](int64_t i) { ++seen[static_cast<size_t>(i)]; });
    for (const auto& count : seen) REQUIRE(count == 1);
  }
  parallel_for(0, 4, [](int64_t) { throw std::logic_error("no index to run"); });
}

TEST_CASE("parallel_for passes the first exception on and stops") {
  for (const int threads : {1, 4}) {
    std::atomic<int> ran{0};
    REQUIRE_THROWS_AS(parallel_for(100'000, threads,
                                   [&](int64_t i) {
                                     ++ran;
                                     if (i == 3) throw std::out_of_range("three");
                                   }),
                      std::out_of_range);
    REQUIRE(ran < 100'000);
  }
}
