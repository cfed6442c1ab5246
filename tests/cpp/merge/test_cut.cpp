#include "merge/cut.h"

#include <vector>

#include "catch.h"

using namespace lenswright;

TEST_CASE("cut: a shape as rows and columns") {
  REQUIRE(Shape2::of({}).count() == 1);
  REQUIRE(Shape2::of({7}).rows == 1);
  REQUIRE(Shape2::of({7}).cols == 7);
  REQUIRE(Shape2::of({2, 3, 5}).rows == 6);
  REQUIRE(Shape2::of({2, 0, 5}).count() == 0);
}

TEST_CASE("cut: every element is in one strip, in order, whatever the cut") {
  const Cut cut = GENERATE(Cut::elements, Cut::rows, Cut::columns);
  const Shape2 shape = GENERATE(Shape2{1, 1}, Shape2{1, 5000}, Shape2{37, 41}, Shape2{531, 1013},
                                Shape2{3, 70000}, Shape2{0, 5}, Shape2{5, 0});
  const Tiling tiling(shape, cut);
  std::vector<int> seen(static_cast<size_t>(shape.count()));
  for (int64_t tile = 0; tile < tiling.tiles(); ++tile) {
    int64_t next = tiling.tile(tile).first;
    for (int64_t s = 0; s < tiling.strips(tile); ++s) {
      const Run run = tiling.strip(tile, s);
      REQUIRE(run.count > 0);
      REQUIRE(run.count <= tiling.longest());
      if (tiling.contiguous()) {
        REQUIRE(run.first == next);
        next += run.count;
      }
      for (int64_t i = 0; i < run.count; ++i) ++seen[static_cast<size_t>(run.first + i)];
    }
    if (tiling.contiguous()) {
      REQUIRE(next == tiling.tile(tile).first + tiling.tile(tile).count);
    }
  }
  REQUIRE(std::vector<int>(seen.size(), 1) == seen);
}

TEST_CASE("cut: a sample has no element twice, and all of a small tensor") {
  const Shape2 shape = GENERATE(Shape2{1, 1}, Shape2{37, 41}, Shape2{531, 1013}, Shape2{2, 100000},
                                Shape2{1024, 4096});
  const Tiling tiling(shape, Cut::sample);
  std::vector<int> seen(static_cast<size_t>(shape.count()));
  int64_t count = 0;
  for (int64_t tile = 0; tile < tiling.tiles(); ++tile) {
    for (int64_t s = 0; s < tiling.strips(tile); ++s) {
      const Run run = tiling.strip(tile, s);
      REQUIRE(run.count <= tiling.longest());
      for (int64_t i = 0; i < run.count; ++i) {
        REQUIRE(++seen[static_cast<size_t>(run.first + i)] == 1);
        ++count;
      }
    }
  }
  REQUIRE(count == tiling.elements());
  if (shape.count() <= 2048) REQUIRE(count == shape.count());
  REQUIRE(count >= std::min<int64_t>(shape.count(), 2048));
}
