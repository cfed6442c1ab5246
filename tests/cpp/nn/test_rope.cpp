#include "nn/rope.h"

#include <cmath>

#include "tensors.h"

namespace lenswright::test_rope {
namespace {

at::Tensor places(int64_t first, int64_t count) {
  return at::arange(first, first + count, at::kLong).unsqueeze(0);
}

Rope made(double theta, int64_t dim, RopeLayout layout = RopeLayout::half, int64_t start = 0) {
  Rope rope;
  rope.theta = theta;
  rope.dim = dim;
  rope.layout = layout;
  rope.start = start;
  return rope;
}

RopeTable table_of(const Rope& rope, const at::Tensor& positions,
                   at::ScalarType type = at::kDouble) {
  return rope_table(positions, positions.select(1, positions.size(1) - 1) + 1, rope, type);
}

at::Tensor turned(const at::Tensor& x, int64_t first, const Rope& rope) {
  return rotated(x, table_of(rope, places(first, x.size(1))), rope);
}

constexpr RopeLayout kLayouts[] = {RopeLayout::half, RopeLayout::adjacent,
                                   RopeLayout::adjacent_apart};

// Where pair i of a layout is read, and where its results go, within the rotated numbers.
struct Pair {
  int64_t from[2], to[2];
};

Pair pair_of(RopeLayout layout, int64_t i, int64_t half) {
  switch (layout) {
    case RopeLayout::half:
      return {{i, i + half}, {i, i + half}};
    case RopeLayout::adjacent:
      return {{2 * i, 2 * i + 1}, {2 * i, 2 * i + 1}};
    case RopeLayout::adjacent_apart:
      return {{2 * i, 2 * i + 1}, {i, i + half}};
  }
  return {};
}

// Number by number in float64, from the table's cosines and sines.
at::Tensor by_hand(const at::Tensor& x, const RopeTable& table, const Rope& rope) {
  at::Tensor y = x.clone();
  const auto from = x.accessor<double, 4>(), cos = table.cos.accessor<double, 4>(),
             sin = table.sin.accessor<double, 4>();
  auto to = y.accessor<double, 4>();
  for (int64_t b = 0; b < x.size(0); ++b) {
    for (int64_t p = 0; p < x.size(1); ++p) {
      for (int64_t h = 0; h < x.size(2); ++h) {
        for (int64_t i = 0; i < rope.dim / 2; ++i) {
          const Pair pair = pair_of(rope.layout, i, rope.dim / 2);
          const int64_t row = table.cos.size(0) == 1 ? 0 : b;
          const double c = cos[row][p][0][i], s = sin[row][p][0][i];
          const double first = from[b][p][h][rope.start + pair.from[0]];
          const double second = from[b][p][h][rope.start + pair.from[1]];
          to[b][p][h][rope.start + pair.to[0]] = first * c - second * s;
          to[b][p][h][rope.start + pair.to[1]] = second * c + first * s;
        }
      }
    }
  }
  return y;
}

}  // namespace

TEST_CASE("rope angles are position times theta^(-2i/dim)") {
  const RopeTable table = table_of(made(10000.0, 10), places(3, 4));
  REQUIRE(table.cos.sizes() == at::IntArrayRef({1, 4, 1, 5}));
  for (int64_t p = 0; p < 4; ++p) {
    for (int64_t i = 0; i < 5; ++i) {
      const double angle = static_cast<double>(3 + p) * std::pow(10000.0, -2.0 * i / 10);
      REQUIRE(std::abs(table.cos[0][p][0][i].item<double>() - std::cos(angle)) < 1e-5);
      REQUIRE(std::abs(table.sin[0][p][0][i].item<double>() - std::sin(angle)) < 1e-5);
    }
  }
}

TEST_CASE("rope frequencies are float32's, then widened") {
  const RopeTable narrow = table_of(made(5e5, 8), places(1, 1), at::kFloat);
  const RopeTable wide = table_of(made(5e5, 8), places(1, 1));
  // The angle at position 1 is the frequency itself.
  const at::Tensor angle = at::atan2(wide.sin, wide.cos);
  REQUIRE(test::relative(angle, angle.to(at::kFloat)) < 1e-15);
  REQUIRE(test::relative(narrow.cos, wide.cos) < 1e-7);
}

TEST_CASE("a rope table has its attention factor, and rows of their own where lengths matter") {
  Rope rope = made(10000.0, 10);
  const at::Tensor positions = at::stack({places(0, 70)[0], places(0, 70)[0]});
  const RopeTable plain = rope_table(positions, at::tensor({70, 20}), rope, at::kDouble);
  rope.attention_factor = 1.37;
  const RopeTable longer = rope_table(positions, at::tensor({70, 20}), rope, at::kDouble);
  REQUIRE(test::relative(longer.cos, plain.cos * 1.37) < 1e-15);
  REQUIRE(test::relative(longer.sin, plain.sin * 1.37) < 1e-15);

  rope.attention_factor = 1.0;
  rope.scaling = RopeScaling::dynamic;
  rope.factor = 2.0;
  rope.original_ctx = 64;
  const RopeTable own = rope_table(positions, at::tensor({70, 20}), rope, at::kDouble);
  REQUIRE(own.cos.sizes() == at::IntArrayRef({2, 70, 1, 5}));
  REQUIRE(test::same(own.sin[1], plain.sin[1]));
  REQUIRE(test::relative(own.sin[0], plain.sin[0]) > 1e-2);
}

TEST_CASE("a rope turns its layout's pairs, from its start on, and lets the rest pass") {
  const at::Tensor x = test::waves({2, 4, 3, 14}, 1.3);
  for (RopeLayout layout : kLayouts) {
    for (const auto& [start, dim] :
         std::vector<std::pair<int64_t, int64_t>>{{0, 14}, {0, 6}, {8, 6}, {3, 4}, {0, 2}}) {
      const Rope rope = made(100.0, dim, layout, start);
      const RopeTable table = table_of(rope, places(2, 4));
      const at::Tensor y = rotated(x, table, rope);
      REQUIRE(test::relative(y, by_hand(x, table, rope)) < 1e-14);
      REQUIRE(test::same(y.narrow(-1, 0, start), x.narrow(-1, 0, start)));
      const int64_t rest = 14 - start - dim;
      REQUIRE(test::same(y.narrow(-1, 14 - rest, rest), x.narrow(-1, 14 - rest, rest)));
      REQUIRE(test::relative(y.narrow(-1, start, dim), x.narrow(-1, start, dim)) > 1e-2);
      const at::Tensor rows = at::cat({places(2, 4), places(9, 4)});
      const RopeTable each = table_of(rope, rows);  // rows at positions of their own
      REQUIRE(test::relative(rotated(x, each, rope), by_hand(x, each, rope)) < 1e-14);
    }
  }
}

TEST_CASE("layouts of a rope differ by the order of the numbers only") {
  const at::Tensor x = test::waves({1, 6, 2, 8}, 0.9);
  const at::Tensor apart = turned(x, 3, made(50.0, 8, RopeLayout::adjacent_apart));
  const at::Tensor together = turned(x, 3, made(50.0, 8, RopeLayout::adjacent));
  const at::Tensor sorted = at::cat({x.slice(-1, 0, 8, 2), x.slice(-1, 1, 8, 2)}, -1);
  REQUIRE(test::same(apart, turned(sorted, 3, made(50.0, 8))));
  REQUIRE(test::same(apart.narrow(-1, 0, 4), together.slice(-1, 0, 8, 2)));
  REQUIRE(test::same(apart.narrow(-1, 4, 4), together.slice(-1, 1, 8, 2)));
}

TEST_CASE("ropes keep the norm, and at position 0 every number") {
  const at::Tensor x = test::waves({1, 6, 2, 8}, 0.9);
  for (RopeLayout layout : kLayouts) {
    const at::Tensor y = turned(x, 0, made(10000.0, 8, layout));
    REQUIRE(test::relative(y.norm(2, -1), x.norm(2, -1)) < 1e-14);
    const auto values = [](const at::Tensor& t) { return std::get<0>(t.sort(-1)); };
    REQUIRE(test::same(values(y.select(1, 0)), values(x.select(1, 0))));
  }
}

TEST_CASE("the product of two heads turned by a rope depends on their distance only") {
  const at::Tensor q = test::waves({1, 1, 1, 8}, 1.3), k = test::waves({1, 1, 1, 8}, 0.7);
  for (RopeLayout layout : kLayouts) {
    const Rope rope = made(50.0, 8, layout);
    const auto product = [&](int64_t query, int64_t key) {
      return (turned(q, query, rope) * turned(k, key, rope)).sum().item<double>();
    };
    REQUIRE(product(5, 2) == Approx(product(105, 102)).epsilon(1e-12));
    REQUIRE(product(5, 2) != Approx(product(5, 3)).epsilon(1e-3));
  }
}

TEST_CASE("turning in one pass rounds as whole tensors do, however x lies") {
  const at::Tensor positions = at::stack({places(0, 5)[0], places(7, 5)[0]});
  const at::Tensor fused = test::waves({2, 5, 90}, 1.3);
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (RopeLayout layout : kLayouts) {
      for (int64_t start : {0, 2}) {
        CAPTURE(type, start);
        const Rope rope = made(30.0, 6, layout, start);
        const at::Tensor part = fused.to(type).narrow(-1, 30, 30).unflatten(-1, {3, 10});
        const at::Tensor copy = part.clone().requires_grad_();  // whole tensors, for autograd
        const at::Tensor across = part.transpose(0, 1).contiguous().transpose(0, 1);
        for (const at::Tensor& where : {positions, places(3, 5)}) {
          const RopeTable table = table_of(rope, where, type);
          const at::Tensor expected = rotated(copy, table, rope);
          REQUIRE(expected.requires_grad());
          REQUIRE(test::same(rotated(part, table, rope), expected.detach()));
          REQUIRE(test::same(rotated(across, table, rope), expected.detach()));
        }
      }
    }
  }
}

}  // namespace lenswright::test_rope
