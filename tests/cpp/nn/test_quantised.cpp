#include "nn/quantised.h"

#include <c10/core/GradMode.h>

#include "nn/deterministic.h"
#include "nn/linear.h"
#include "tensors.h"

namespace lenswright::test_quantised {
namespace {

constexpr int64_t kExperts = 3;

at::Tensor bytes(at::IntArrayRef shape, double speed, int64_t low, int64_t high) {
  const at::Tensor spread = (test::waves(shape, speed) + 1) / 2 * static_cast<double>(high - low);
  return (spread + static_cast<double>(low)).floor().clamp(low, high - 1).to(at::kByte);
}

// Rows and columns that no block divides.
Quantised fp8(int64_t rows, int64_t columns, const BlockGrid& grid) {
  Quantised weight{Quantisation::fp8, "scales"};
  const int64_t high = grid.row_of(rows - 1) + 1;
  at::Tensor codes = bytes({kExperts, rows, columns}, 0.9, 0, 256);
  codes = codes.masked_fill(codes.bitwise_and(127) == 127, 0);  // no NaN
  weight.codes = codes.view(at::kFloat8_e4m3fn);
  weight.scales = test::waves({kExperts, high, grid.columns}, 1.3, at::kFloat);
  weight.factors = weight.scales;
  weight.grid = grid;
  weight.experts = true;
  return weight;
}

Quantised mxfp4(int64_t rows, int64_t groups) {
  Quantised weight{Quantisation::mxfp4, "scales"};
  weight.codes = bytes({kExperts, rows, groups, 16}, 0.9, 0, 256);
  weight.scales = bytes({kExperts, rows, groups}, 1.3, 110, 131);
  weight.experts = true;
  return weight;
}

// Number by number.
at::Tensor by_hand(const Quantised& weight, int64_t expert) {
  at::Tensor result = at::empty({weight.rows(), weight.columns()}, at::kDouble);
  auto* to = result.mutable_data_ptr<double>();
  const QuantisedMatrix matrix = weight.matrix(expert);
  for (int64_t row = 0; row < weight.rows(); ++row) {
    for (int64_t column = 0; column < weight.columns(); ++column) matrix.read(row, column, 1, to++);
  }
  return result;
}

const std::vector<Quantised>& weights() {
  static const std::vector<Quantised> list = {fp8(50, 37, {16, 24, 2}),
                                              fp8(50, 37, {16, 24, 2, 25}),
                                              fp8(50, 37, {50, 37, 1}), mxfp4(45, 3)};
  return list;
}

}  // namespace

TEST_CASE("a part is widened as it is read, in every type and both ways round") {
  for (const Quantised& weight : weights()) {
    for (const int64_t expert : {0, 2}) {
      const at::Tensor whole = by_hand(weight, expert);
      for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
        const QuantisedPart rows{expert, 7, 30, false}, columns{expert, 5, 21, true};
        const at::Tensor expected = whole.narrow(0, 7, 30).to(type);
        REQUIRE(test::same(widened(weight, rows, type), expected));
        REQUIRE(test::same(widened_by_torch(weight, rows, type), expected));
        const at::Tensor turned = whole.narrow(1, 5, 21).t().to(type);
        REQUIRE(test::same(widened(weight, columns, type), turned));
        REQUIRE(test::same(widened_by_torch(weight, columns, type), turned));
      }
    }
  }
}

TEST_CASE("products with a part are those with the widened matrix") {
  for (const Quantised& weight : weights()) {
    for (const bool turned : {false, true}) {
      const QuantisedPart part{1, 4, 20, turned};
      for (const auto type : {at::kDouble, at::kFloat}) {
        const at::Tensor w = widened(weight, part, type), bias = test::waves({20}, 0.2);
        const at::Tensor x = test::waves({2, 5, w.size(1)}, 1.1, type);
        const double limit = type == at::kDouble ? 1e-14 : 1e-6;
        REQUIRE(test::relative(linear(x, weight, part, bias), at::linear(x, w, bias.to(type))) <
                limit);
        REQUIRE(test::relative(linear(x, weight, part, {}), at::linear(x, w)) < limit);
      }
    }
  }
}

TEST_CASE("a weight of several tiles, which need not divide it") {
  const Quantised weight = fp8(3000, 500, {128, 128, 4});  // a tile has 2,097 outputs
  const QuantisedPart all{2, 0, 3000, false}, turned{2, 0, 500, true};
  const at::Tensor x = test::waves({3, 500}, 1.3, at::kFloat), bias = test::waves({3000}, 0.3);
  const at::Tensor whole = by_hand(weight, 2).to(at::kFloat);
  const at::Tensor expected = at::linear(x, whole, bias.to(at::kFloat));
  REQUIRE(test::relative(linear(x, weight, all, bias), expected) < 1e-6);
  const at::Tensor y = test::waves({3, 3000}, 1.3, at::kFloat);
  REQUIRE(test::relative(linear(y, weight, turned, {}), at::linear(y, whole.t())) < 1e-6);
}

TEST_CASE("deterministic products do not depend on the rows beside one") {
  const DeterministicGuard guard(true);
  for (const Quantised& weight : weights()) {
    const QuantisedPart part{0, 3, 31, false};
    const at::Tensor x = test::waves({70, weight.columns()}, 1.1, at::kFloat);
    const at::Tensor all = linear(x, weight, part, {});
    for (const int64_t row : {0, 33, 69}) {
      REQUIRE(test::same(linear(x.narrow(0, row, 1), weight, part, {}), all.narrow(0, row, 1)));
    }
  }
}

TEST_CASE("gradients with respect to the input") {
  const Quantised& weight = weights()[0];
  const QuantisedPart part{1, 0, 50, false};
  const at::Tensor x = test::waves({4, 37}, 1.1).set_requires_grad(true);
  const at::Tensor seed = test::waves({4, 50}, 0.4);
  linear(x, weight, part, {}).backward(seed);
  REQUIRE(test::relative(x.grad(), seed.matmul(by_hand(weight, 1))) < 1e-14);
}

TEST_CASE("an exponent of 255 is refused by both ways") {
  Quantised weight = mxfp4(45, 3);
  weight.scales[1][5][1] = 255;
  REQUIRE_NOTHROW(widened(weight, {0, 0, 45, false}, at::kFloat));
  REQUIRE_NOTHROW(widened(weight, {1, 0, 5, false}, at::kFloat));
  REQUIRE_THROWS(widened(weight, {1, 5, 1, false}, at::kFloat));
  REQUIRE_THROWS(widened_by_torch(weight, {1, 5, 1, false}, at::kFloat));
}

}  // namespace lenswright::test_quantised
