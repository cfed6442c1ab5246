#include "stats/moments.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"

namespace lenswright::test_moments {
namespace {

at::Tensor samples(int64_t count, int64_t width, double offset) {
  // Small spread around a large mean, where a sum of squares would lose every digit.
  const at::Tensor index = at::arange(count * width, at::kDouble).reshape({count, width});
  return offset + at::sin(index * 1.7);
}

double worst(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

at::Tensor two_pass_m2(const at::Tensor& x) {
  const at::Tensor centred = x - x.mean(0, true);
  return (centred * centred).sum(0);
}

}  // namespace

TEST_CASE("moments are those of two passes, far from zero") {
  const at::Tensor x = samples(101, 7, 1e8);
  Moments moments(1, 7);
  moments.add(x, at::zeros({101}, at::kLong));
  REQUIRE(moments.count().item<int64_t>() == 101);
  REQUIRE(worst(moments.mean()[0], x.mean(0)) < 1e-7);
  REQUIRE(worst(moments.m2()[0] / two_pass_m2(x), at::ones({7}, at::kDouble)) < 1e-7);
  REQUIRE(worst(moments.variance()[0], x.var(0)) < 1e-7);
}

TEST_CASE("a cell is what its own samples give, however they are batched") {
  const at::Tensor x = samples(30, 5, 3.0);
  const at::Tensor cells = at::arange(30, at::kLong).remainder(3);
  Moments whole(4, 5), pieces(4, 5);
  whole.add(x, cells);
  for (int64_t start = 0; start < 30; start += 7) {
    const int64_t count = std::min<int64_t>(7, 30 - start);
    pieces.add(x.narrow(0, start, count), cells.narrow(0, start, count));
  }
  REQUIRE(at::equal(whole.mean(), pieces.mean()));
  REQUIRE(at::equal(whole.m2(), pieces.m2()));
  REQUIRE(whole.count()[3].item<int64_t>() == 0);
  Moments alone(1, 5);
  alone.add(x.slice(0, 1, 30, 3), at::zeros({10}, at::kLong));
  REQUIRE(at::equal(whole.at(at::full({1}, 1, at::kLong)).mean(), alone.mean()));
}

TEST_CASE("merged moments are those of all samples") {
  const at::Tensor x = samples(40, 6, -2.0);
  const at::Tensor cells = at::zeros({40}, at::kLong);
  Moments all(2, 6), first(2, 6), second(2, 6);
  all.add(x, cells);
  first.add(x.narrow(0, 0, 9), cells.narrow(0, 0, 9));
  second.add(x.narrow(0, 9, 31), cells.narrow(0, 9, 31));
  first.merge(second);
  REQUIRE(at::equal(first.count(), all.count()));
  REQUIRE(worst(first.mean(), all.mean()) < 1e-14);
  REQUIRE(worst(first.m2(), all.m2()) < 1e-12);
  REQUIRE(second.count()[0].item<int64_t>() == 31);
}

TEST_CASE("merging into or from an empty cell changes nothing") {
  const at::Tensor x = samples(5, 3, 1.0);
  Moments full(1, 3), empty(1, 3);
  full.add(x, at::zeros({5}, at::kLong));
  Moments left = empty, right = full;
  left.merge(full);
  right.merge(empty);
  REQUIRE(at::equal(left.mean(), full.mean()));
  REQUIRE(at::equal(left.m2(), full.m2()));
  REQUIRE(at::equal(right.m2(), full.m2()));
}

TEST_CASE("variance needs two samples and squares") {
  Moments one(1, 2), means(1, 2, false);
  const at::Tensor cell = at::zeros({1}, at::kLong);
  one.add(samples(1, 2, 0.0), cell);
  means.add(samples(1, 2, 0.0), cell);
  REQUIRE(one.variance().isnan().all().item<bool>());
  REQUIRE_FALSE(means.m2().defined());
  REQUIRE_THROWS_AS(means.variance(), c10::ValueError);
  REQUIRE_THROWS_AS(one.merge(means), c10::ValueError);
}

TEST_CASE("wrong shapes and cells are refused before anything is added") {
  Moments moments(2, 3);
  const at::Tensor cells = at::zeros({4}, at::kLong);
  REQUIRE_THROWS_AS(moments.add(at::zeros({4, 2}), cells), c10::ValueError);
  REQUIRE_THROWS_AS(moments.add(at::zeros({3, 3}), cells), c10::ValueError);
  REQUIRE_THROWS_AS(moments.add(at::zeros({4, 3}), cells + 2), c10::IndexError);
  REQUIRE_THROWS_AS(moments.merge(Moments(2, 4)), c10::ValueError);
  REQUIRE_THROWS_AS(Moments(0, 3), c10::ValueError);
  REQUIRE(moments.count().sum().item<int64_t>() == 0);
}

}  // namespace lenswright::test_moments
