#include "stats/extremes.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_extremes {
namespace {

at::Tensor ids(std::vector<int64_t> values) { return at::tensor(values, at::kLong); }

// Values with ties, prompts and places of 40 samples of two coordinates.
struct Data {
  at::Tensor values = at::sin(at::arange(80, at::kDouble) * 1.3).mul(4).round().reshape({40, 2});
  at::Tensor prompts = at::arange(40, at::kLong).remainder(7);
  at::Tensor places = at::arange(40, at::kLong).floor_divide(7);

  Samples samples(const at::Tensor& order) const {
    return {
        {}, places.index_select(0, order), at::zeros_like(order), prompts.index_select(0, order)};
  }
};

}  // namespace

TEST_CASE("extremes are the first of all samples sorted by value, prompt and place") {
  const Data data;
  Extremes kept(1, 2, 3);
  const at::Tensor order = at::arange(40, at::kLong);
  kept.take(data.values, data.samples(order));
  for (int64_t side = 0; side < 2; ++side) {
    for (int64_t i = 0; i < 2; ++i) {
      std::vector<std::tuple<double, int64_t, int64_t>> all;
      for (int64_t s = 0; s < 40; ++s) {
        const double value = data.values[s][i].item<double>();
        all.emplace_back(side == 0 ? -value : value, data.prompts[s].item<int64_t>(),
                         data.places[s].item<int64_t>());
      }
      std::sort(all.begin(), all.end());
      for (int64_t rank = 0; rank < 3; ++rank) {
        const auto [value, prompt, place] = all[static_cast<size_t>(rank)];
        REQUIRE(kept.values()[0][side][rank][i].item<double>() == (side == 0 ? -value : value));
        REQUIRE(kept.prompts()[0][side][rank][i].item<int64_t>() == prompt);
        REQUIRE(kept.places()[0][side][rank][i].item<int64_t>() == place);
      }
    }
  }
}

TEST_CASE("extremes depend neither on order nor on merging") {
  const Data data;
  Extremes forward(1, 2, 3), backward(1, 2, 3), first(1, 2, 3), second(1, 2, 3);
  const at::Tensor order = at::arange(40, at::kLong), turned = order.flip({0});
  forward.take(data.values, data.samples(order));
  backward.take(data.values.index_select(0, turned), data.samples(turned));
  const at::Tensor left = order.narrow(0, 0, 11), right = order.narrow(0, 11, 29);
  first.take(data.values.index_select(0, left), data.samples(left));
  second.take(data.values.index_select(0, right), data.samples(right));
  second.merge(first);
  for (const Extremes* other : {&backward, &second}) {
    REQUIRE(at::equal(other->values(), forward.values()));
    REQUIRE(at::equal(other->prompts(), forward.prompts()));
    REQUIRE(at::equal(other->places(), forward.places()));
  }
  const Extremes again(forward.state());
  REQUIRE(at::equal(again.at(ids({0})).values(), forward.values()));
}

TEST_CASE("fewer samples than are kept leave empty places") {
  Extremes kept(2, 1, 3);
  kept.take(at::tensor({5.0}, at::kDouble).reshape({1, 1}), {{}, ids({4}), ids({1}), ids({9})});
  REQUIRE(kept.values()[1][0][0].item<double>() == 5.0);
  REQUIRE(kept.values()[1][1][0].item<double>() == 5.0);
  REQUIRE(kept.places().eq(-1).sum().item<int64_t>() == 10);
  REQUIRE_THROWS_AS(kept.take(at::zeros({1, 1}), {{}, ids({0}), ids({0}), {}}), c10::ValueError);
  REQUIRE_THROWS_AS(kept.merge(Extremes(2, 1, 2)), c10::ValueError);
  REQUIRE_THROWS_AS(Extremes(1, 1, 0), c10::ValueError);
}

}  // namespace lenswright::test_extremes
