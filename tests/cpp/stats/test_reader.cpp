#include "stats/reader.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"
#include "stats/extremes.h"
#include "stats/moments.h"

namespace lenswright::test_reader {
namespace {

const Point kPoint{Site::z, 0};

at::Tensor ids(std::vector<int64_t> values) { return at::tensor(values, at::kLong); }

}  // namespace

TEST_CASE("a reader adds the chosen places, whatever shape stands at each") {
  auto moments = std::make_shared<Moments>(2, 6);
  Taps taps;
  taps.read(kPoint, statistics_reader(
                        {moments}, {ids({0, 1, 1}), ids({2, 0, 3}), ids({1, 0, 1}), {}}, kPoint));
  const at::Tensor x = at::arange(2 * 4 * 2 * 3, at::kFloat).reshape({2, 4, 2, 3});
  REQUIRE(taps.visit(kPoint, x).is_same(x));
  REQUIRE(at::equal(moments->count(), ids({1, 2})));
  REQUIRE(at::equal(moments->mean()[0], x[1][0].flatten().to(at::kDouble)));
  const at::Tensor both = at::stack({x[0][2].flatten(), x[1][3].flatten()}).to(at::kDouble);
  REQUIRE(at::equal(moments->mean()[1], both.mean(0)));
}

TEST_CASE("one reader feeds several accumulators, winsorised where it is asked to") {
  auto moments = std::make_shared<Moments>(1, 3);
  auto extremes = std::make_shared<Extremes>(1, 3, 1);
  Taps taps;
  taps.read(kPoint, statistics_reader({moments, extremes},
                                      {ids({0}), ids({1}), ids({0}), ids({42})}, kPoint, 0.5));
  taps.visit(kPoint, at::tensor({9.0, 9.0, 9.0, 1.0, -2.0, 100.0}, at::kFloat).reshape({1, 2, 3}));
  REQUIRE(at::equal(moments->mean()[0], at::tensor({1.0, -2.0, 2.0}, at::kDouble)));
  REQUIRE(at::equal(extremes->prompts()[0][0][0], ids({42, 42, 42})));
  REQUIRE(at::equal(extremes->places()[0][0][0], ids({1, 1, 1})));
}

TEST_CASE("values that are not finite are refused, and nothing is added") {
  auto moments = std::make_shared<Moments>(1, 2);
  Taps taps;
  taps.read(kPoint, statistics_reader({moments}, {ids({0}), ids({1}), ids({0}), {}}, kPoint));
  at::Tensor x = at::zeros({1, 2, 2});
  taps.visit(kPoint, x);
  x[0][0][0] = std::nan("");  // a place nobody looks at
  taps.visit(kPoint, x);
  x[0][1][1] = INFINITY;
  REQUIRE_THROWS_AS(taps.visit(kPoint, x), c10::ValueError);
  REQUIRE(moments->count().item<int64_t>() == 2);
}

TEST_CASE("rows, places and cells must be of one length") {
  auto moments = std::make_shared<Moments>(1, 2);
  REQUIRE_THROWS_AS(statistics_reader({moments}, {ids({0}), ids({1, 2}), ids({0}), {}}, kPoint),
                    c10::ValueError);
}

}  // namespace lenswright::test_reader
