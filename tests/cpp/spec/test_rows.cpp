#include "spec/rows.h"

#include "catch.h"

namespace lenswright {

TEST_CASE("rows say how their tensor is stored") {
  Rows rows;
  rows.matrix("a", "A", 3, 5);
  rows.matrix("b", "B", 3, 5, Layout::in_out);
  rows.vector("c", "C", 7, true);
  rows.parts({"q", "k"}, "QK", {4, 2}, 5, Layout::in_out);
  rows.parts({"bq", "bk"}, "BQK", {4, 2}, 0);
  const std::vector<Row> list = rows.take();
  using Shape = std::vector<int64_t>;
  REQUIRE(list.size() == 7);
  REQUIRE(list[0].stored_shape() == Shape{3, 5});
  REQUIRE(list[1].stored_shape() == Shape{5, 3});
  REQUIRE(list[2].stored_shape() == Shape{7});
  REQUIRE(list[2].optional);
  REQUIRE_FALSE(list[0].optional);
  REQUIRE(list[4].stored_shape() == Shape{5, 6});
  REQUIRE(list[4].start == 4);
  REQUIRE(list[4].outputs == 2);
  REQUIRE(list[6].stored_shape() == Shape{6});
}

}  // namespace lenswright
