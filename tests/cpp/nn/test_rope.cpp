#include "nn/rope.h"

#include <cmath>

#include "tensors.h"

namespace lenswright {
namespace {

at::Tensor places(int64_t first, int64_t count) {
  return at::arange(first, first + count, at::kLong).unsqueeze(0);
}

constexpr RopeLayout kLayouts[] = {RopeLayout::half, RopeLayout::adjacent};

}  // namespace

TEST_CASE("angles are position times theta^(-2i/dim)") {
  const RopeTable table = rope_table(places(3, 4), 10000.0, 10, at::kDouble);
  REQUIRE(table.cos.sizes() == at::IntArrayRef({1, 4, 1, 5}));
  for (int64_t p = 0; p < 4; ++p) {
    for (int64_t i = 0; i < 5; ++i) {
      const double angle = (3 + p) * std::pow(10000.0, -2.0 * i / 10);
      REQUIRE(std::abs(table.cos[0][p][0][i].item<double>() - std::cos(angle)) < 1e-5);
      REQUIRE(std::abs(table.sin[0][p][0][i].item<double>() - std::sin(angle)) < 1e-5);
    }
  }
}

TEST_CASE("frequencies are float32's, then widened") {
  const RopeTable narrow = rope_table(places(1, 1), 5e5, 8, at::kFloat);
  const RopeTable wide = rope_table(places(1, 1), 5e5, 8, at::kDouble);
  // The angle at position 1 is the frequency itself.
  const at::Tensor angle = at::atan2(wide.sin, wide.cos);
  REQUIRE(test::relative(angle, angle.to(at::kFloat)) < 1e-15);
  REQUIRE(test::relative(narrow.cos, wide.cos) < 1e-7);
}

TEST_CASE("a rotation is a rotation of the layout's pairs") {
  const at::Tensor x = test::waves({2, 4, 3, 10}, 1.3);
  const RopeTable table = rope_table(places(2, 4), 100.0, 10, at::kDouble);
  for (RopeLayout layout : kLayouts) {
    const at::Tensor y = rope(x, table, layout);
    for (int64_t i = 0; i < 5; ++i) {
      const bool half = layout == RopeLayout::half;
      const int64_t a = half ? i : 2 * i, b = half ? i + 5 : 2 * i + 1;
      const at::Tensor cos = table.cos.select(-1, i), sin = table.sin.select(-1, i);
      const at::Tensor xa = x.select(-1, a), xb = x.select(-1, b);
      REQUIRE(test::relative(y.select(-1, a), xa * cos - xb * sin) < 1e-14);
      REQUIRE(test::relative(y.select(-1, b), xb * cos + xa * sin) < 1e-14);
    }
  }
}

TEST_CASE("rotations keep the norm, and position 0 changes nothing") {
  const at::Tensor x = test::waves({1, 6, 2, 8}, 0.9);
  for (RopeLayout layout : kLayouts) {
    const at::Tensor y = rope(x, rope_table(places(0, 6), 10000.0, 8, at::kDouble), layout);
    REQUIRE(test::relative(y.norm(2, -1), x.norm(2, -1)) < 1e-14);
    REQUIRE(test::same(y.select(1, 0), x.select(1, 0)));
  }
}

TEST_CASE("the product of two rotated heads depends on their distance only") {
  const at::Tensor q = test::waves({1, 1, 1, 8}, 1.3), k = test::waves({1, 1, 1, 8}, 0.7);
  for (RopeLayout layout : kLayouts) {
    const auto product = [&](int64_t query, int64_t key) {
      const at::Tensor a = rope(q, rope_table(places(query, 1), 50.0, 8, at::kDouble), layout);
      const at::Tensor b = rope(k, rope_table(places(key, 1), 50.0, 8, at::kDouble), layout);
      return (a * b).sum().item<double>();
    };
    REQUIRE(product(5, 2) == Approx(product(105, 102)).epsilon(1e-12));
    REQUIRE(product(5, 2) != Approx(product(5, 3)).epsilon(1e-3));
  }
}

TEST_CASE("what lies behind the rotated numbers of a head passes through") {
  const at::Tensor x = test::waves({1, 3, 2, 10}, 1.3);
  const RopeTable table = rope_table(places(1, 3), 100.0, 6, at::kDouble);
  for (RopeLayout layout : kLayouts) {
    const at::Tensor y = rope(x, table, layout);
    REQUIRE(test::same(y.narrow(-1, 6, 4), x.narrow(-1, 6, 4)));
    REQUIRE(test::same(y.narrow(-1, 0, 6), rope(x.narrow(-1, 0, 6), table, layout)));
  }
}

}  // namespace lenswright
