#include "stats/covariance.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "catch.h"

namespace lenswright::test_covariance {
namespace {

at::Tensor samples(int64_t count, int64_t width, double offset) {
  const at::Tensor index = at::arange(count * width, at::kDouble).reshape({count, width});
  return offset + at::sin(index * 1.7) * (1 + index.remainder(5));
}

at::Tensor two_pass(const at::Tensor& x) {
  const at::Tensor centred = x - x.mean(0, true);
  return at::mm(centred.t(), centred);
}

double worst(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

at::Tensor zeros(int64_t count) { return at::zeros({count}, at::kLong); }

}  // namespace

TEST_CASE("a covariance is that of two passes, at sizes around the block and the tile") {
  for (const int64_t count : {1, 2, 7, 62, 63, 64, 126, 200}) {
    for (const int64_t width : {1, 3, 31, 257, 300}) {
      const at::Tensor x = samples(count, width, 2.0);
      Covariance all(1, width);
      all.add(x, zeros(count));
      const at::Tensor expected = two_pass(x);
      const double scale = std::max(1.0, expected.abs().max().item<double>());
      REQUIRE(worst(all.comoment()[0], expected) < 1e-12 * scale);
      REQUIRE(worst(all.mean()[0], x.mean(0)) < 1e-13 * 10);
      REQUIRE(all.count().item<int64_t>() == count);
      REQUIRE(at::equal(all.comoment()[0], all.comoment()[0].t()));
    }
  }
}

TEST_CASE("a covariance keeps its digits far from zero") {
  const at::Tensor x = samples(300, 9, 0.0), far = x + 1e7;
  Covariance all(1, 9);
  all.add(far, zeros(300));
  REQUIRE(worst(all.comoment()[0], two_pass(far - 1e7)) < 1e-5);
}

TEST_CASE("neither batches nor threads change a byte") {
  const at::Tensor x = samples(500, 70, -1.0);
  const at::Tensor cells = at::arange(500, at::kLong).remainder(3);
  Covariance whole(3, 70);
  whole.add(x, cells);
  const int threads = at::get_num_threads();
  for (const int64_t size : {1, 13, 63, 190}) {
    at::set_num_threads(size % 2 == 0 ? 2 : 1);
    Covariance pieces(3, 70);
    for (int64_t start = 0; start < 500; start += size) {
      const int64_t count = std::min<int64_t>(size, 500 - start);
      pieces.add(x.narrow(0, start, count), cells.narrow(0, start, count));
    }
    REQUIRE(at::equal(pieces.comoment(), whole.comoment()));
    REQUIRE(at::equal(pieces.mean(), whole.mean()));
  }
  at::set_num_threads(threads);
}

TEST_CASE("merged covariances are those of all samples, in any order") {
  const at::Tensor x = samples(211, 12, 5.0);
  Covariance all(2, 12);
  all.add(x, zeros(211));
  std::vector<Covariance> parts;
  for (const auto& [start, count] : {std::pair{0, 17}, std::pair{17, 100}, std::pair{117, 94}}) {
    Covariance part(2, 12);
    part.add(x.narrow(0, start, count), zeros(count));
    parts.push_back(std::move(part));
  }
  using Order = std::vector<size_t>;
  for (const Order& order : {Order{0, 1, 2}, Order{2, 0, 1}, Order{1, 2, 0}}) {
    Covariance merged(2, 12);
    for (const size_t i : order) merged.merge(parts[i]);
    REQUIRE(at::equal(merged.count(), all.count()));
    REQUIRE(worst(merged.mean(), all.mean()) < 1e-13);
    REQUIRE(worst(merged.comoment(), all.comoment()) < 1e-11);
  }
  REQUIRE(all.covariance()[1].isnan().all().item<bool>());
}

TEST_CASE("a covariance goes on after it was read, saved or copied") {
  const at::Tensor x = samples(100, 5, 0.0);
  Covariance all(1, 5);
  all.add(x.narrow(0, 0, 40), zeros(40));
  REQUIRE(all.count().item<int64_t>() == 40);
  Covariance again(all.state());
  for (Covariance* one : {&all, &again}) {
    one->add(x.narrow(0, 40, 60), zeros(60));
    REQUIRE(worst(one->comoment()[0], two_pass(x)) < 1e-11);
  }
  REQUIRE(at::equal(all.at(zeros(1)).comoment(), all.comoment()));
}

TEST_CASE("covariances refuse what does not fit") {
  Covariance one(2, 3);
  REQUIRE_THROWS_AS(one.add(at::zeros({4, 2}), zeros(4)), c10::ValueError);
  REQUIRE_THROWS_AS(one.add(at::zeros({4, 3}), zeros(4) + 2), c10::IndexError);
  REQUIRE_THROWS_AS(one.merge(Covariance(2, 4)), c10::ValueError);
  REQUIRE_THROWS_AS(Covariance(0, 4), c10::ValueError);
  Accumulator::State state = one.state();
  state.erase("mean");
  REQUIRE_THROWS_AS(Covariance(state), c10::ValueError);
  REQUIRE(one.count().sum().item<int64_t>() == 0);
}

}  // namespace lenswright::test_covariance
