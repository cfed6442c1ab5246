#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/philox.h"
#include "catch.h"
#include "merge/assignment.h"

using lenswright::assign;

namespace {

double cost_of(const std::vector<double>& cost, const std::vector<int64_t>& columns) {
  double sum = 0;
  for (size_t row = 0; row < columns.size(); ++row) {
    sum += cost[row * columns.size() + static_cast<size_t>(columns[row])];
  }
  return sum;
}

}  // namespace

TEST_CASE("assignment: the least of all permutations") {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    for (int64_t n = 1; n <= 6; ++n) {
      const lenswright::Philox chance(seed, static_cast<uint64_t>(n));
      std::vector<double> cost(static_cast<size_t>(n * n));
      for (size_t i = 0; i < cost.size(); ++i) {
        cost[i] = seed % 2 == 0 ? chance.normal(i) : static_cast<double>(chance.word(i) % 4);
      }
      std::vector<int64_t> order(static_cast<size_t>(n));
      std::iota(order.begin(), order.end(), int64_t{0});
      double least = cost_of(cost, order);
      while (std::next_permutation(order.begin(), order.end())) {
        least = std::min(least, cost_of(cost, order));
      }
      const std::vector<int64_t> found = assign(cost, n);
      CHECK(std::abs(cost_of(cost, found) - least) < 1e-12);
      std::vector<int64_t> sorted = found;
      std::ranges::sort(sorted);
      std::iota(order.begin(), order.end(), int64_t{0});
      CHECK(sorted == order);
    }
  }
}

TEST_CASE("assignment: a permutation that was hidden is found") {
  constexpr size_t n = 300;
  const lenswright::Philox chance(7, "hidden");
  std::vector<double> cost(n * n);
  for (size_t i = 0; i < cost.size(); ++i) cost[i] = chance.uniform(i);
  for (size_t row = 0; row < n; ++row) cost[row * n + (row * 7 + 3) % n] = -1;
  const std::vector<int64_t> found = assign(cost, n);
  for (size_t row = 0; row < n; ++row) {
    CHECK(found[row] == static_cast<int64_t>((row * 7 + 3) % n));
  }
}

TEST_CASE("assignment: what is no cost is refused") {
  CHECK(assign({}, 0).empty());
  const std::vector<double> three(3), odd = {0, NAN, 0, 0};
  CHECK_THROWS_AS(assign(three, 2), std::invalid_argument);
  CHECK_THROWS_AS(assign(odd, 2), std::invalid_argument);
}
