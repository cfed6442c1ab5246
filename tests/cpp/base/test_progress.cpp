#include "base/progress.h"

#include <stdexcept>
#include <vector>

#include "base/parallel.h"
#include "catch.h"

using namespace lenswright;

TEST_CASE("progress without a reporter counts") {
  Progress progress;
  parallel_for(100, 4, [&](int64_t) { progress.step(2); });
  REQUIRE(progress.done() == 200);
  progress.finish();
}

TEST_CASE("progress reports the beginning and the end") {
  std::vector<int64_t> seen;
  Progress progress(
      [&](int64_t done, int64_t total) {
        REQUIRE(total == 10);
        seen.push_back(done);
        return true;
      },
      10);
  for (int i = 0; i < 10; ++i) progress.step(1);
  progress.finish();
  REQUIRE(seen.front() == 1);
  REQUIRE(seen.back() == 10);
  REQUIRE(seen.size() <= 5);  // not every step
}

TEST_CASE("a reporter that returns false stops every thread") {
  Progress progress([](int64_t, int64_t) { return false; });
  REQUIRE_THROWS_AS(progress.step(1), Cancelled);
  REQUIRE_THROWS_AS(progress.step(1), Cancelled);
  REQUIRE_THROWS_AS(progress.finish(), Cancelled);
}

TEST_CASE("a reporter's exception is what every worker stops with") {
  Progress progress([](int64_t, int64_t) -> bool { throw std::domain_error("mine"); });
  REQUIRE_THROWS_AS(progress.step(1), std::domain_error);
  REQUIRE_THROWS_AS(progress.step(1), std::domain_error);
  REQUIRE_THROWS_AS(progress.finish(), std::domain_error);
}
