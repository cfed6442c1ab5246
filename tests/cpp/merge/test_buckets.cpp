#include "merge/buckets.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

namespace {

// The size of a rank, from 1, by narrowing down; and how many times that took.
double narrowed(const std::vector<double>& sizes, int64_t rank, int& times) {
  Buckets::Piece piece{0, std::numeric_limits<double>::infinity(), 0};
  for (times = 0; piece.low < piece.high; ++times) {
    Buckets buckets(piece.low, piece.high);
    for (size_t at = 0; at < sizes.size(); at += 100) {
      const size_t n = std::min<size_t>(100, sizes.size() - at);
      buckets.add(sizes.data() + at, static_cast<int64_t>(n));
    }
    const Buckets::Piece found = buckets.of(rank);
    REQUIRE(found.low >= piece.low);
    REQUIRE(found.high <= piece.high);
    const auto inside = std::ranges::count_if(
        sizes, [&](double size) { return size >= found.low && size <= found.high; });
    REQUIRE(inside == found.count);
    piece = found;
  }
  return piece.low;
}

}  // namespace

TEST_CASE("buckets: six passes lead to any number") {
  const Philox random(7, "buckets");
  std::vector<double> sizes = {0.0, -0.0, std::numeric_limits<double>::infinity(), 5e-324, 1e-310};
  for (uint64_t i = 0; i < 500; ++i) {
    sizes.push_back(std::ldexp(random.uniform(i), static_cast<int>(i % 90) - 60));
    sizes.push_back(std::nextafter(1.0 + static_cast<double>(i) * 0x1p-52, 2.0));
  }
  std::vector<double> sorted = sizes;
  std::ranges::sort(sorted, std::greater());
  for (size_t rank = 1; rank <= sorted.size(); rank += 7) {
    int times = 0;
    REQUIRE(narrowed(sizes, static_cast<int64_t>(rank), times) == sorted[rank - 1]);
    REQUIRE(times <= 6);
  }
}
