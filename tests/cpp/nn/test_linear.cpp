#include "nn/linear.h"

#include <c10/core/GradMode.h>

#include "nn/deterministic.h"
#include "tensors.h"

namespace lenswright::test_linear {
namespace {

// Sums in float64, number by number.
at::Tensor by_hand(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor rows = x.to(at::kDouble).reshape({-1, x.size(-1)});
  const std::vector<double> a = test::numbers(rows), w = test::numbers(weight);
  const std::vector<double> b = bias.defined() ? test::numbers(bias) : std::vector<double>();
  const int64_t in = x.size(-1), out = weight.size(0);
  at::Tensor result = at::zeros({rows.size(0), out}, at::kDouble);
  double* y = result.mutable_data_ptr<double>();
  for (int64_t r = 0; r < rows.size(0); ++r) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = b.empty() ? 0 : b[o];
      for (int64_t i = 0; i < in; ++i) sum += a[r * in + i] * w[o * in + i];
      y[r * out + o] = sum;
    }
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = out;
  return result.view(shape);
}

// How far the sums are off, beside what they are made of: of waves, most of it cancels.
double backward_error(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor none;
  const at::Tensor made_of = by_hand(x.abs(), weight.abs(), bias.defined() ? bias.abs() : none);
  const at::Tensor off = linear(x, weight, bias).to(at::kDouble) - by_hand(x, weight, bias);
  return (off.abs().max() / made_of.max()).item<double>();
}

double tolerance(at::ScalarType type) {
  if (type == at::kDouble) return 1e-14;
  if (type == at::kFloat) return 1e-6;
  return type == at::kHalf ? 2e-3 : 2e-2;
}

constexpr at::ScalarType kTypes[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16};

}  // namespace

TEST_CASE("products in every pair of types are the sums, rounded once") {
  for (const auto stored : kTypes) {
    for (const auto type : kTypes) {
      CAPTURE(stored, type);
      const at::Tensor weight = test::waves({37, 30}, 0.7, stored);
      const at::Tensor bias = test::waves({37}, 0.2, stored);
      const at::Tensor x = test::waves({2, 5, 30}, 1.3, type);
      const at::Tensor y = linear(x, weight, bias);
      REQUIRE(y.scalar_type() == type);
      REQUIRE(test::relative(y, by_hand(x, weight, bias)) < tolerance(type));
      REQUIRE(test::relative(linear(x, weight, at::Tensor()), by_hand(x, weight, at::Tensor())) <
              tolerance(type));
    }
  }
}

TEST_CASE("a weight as it lies in its file: transposed, narrowed, both") {
  const at::Tensor stored = test::waves({30, 90}, 0.9);  // [in, out] of three parts
  const at::Tensor x = test::waves({4, 30}, 1.1);
  for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const at::Tensor weight = stored.to(type).t().narrow(0, 30, 30);
    REQUIRE_FALSE(weight.is_contiguous());
    const at::Tensor expected = by_hand(x, weight.contiguous(), at::Tensor());
    REQUIRE(test::relative(linear(x, weight, at::Tensor()), expected) < 1e-14);
    const at::Tensor rows = stored.t().contiguous().to(type).narrow(0, 30, 30);
    REQUIRE(test::relative(linear(x, rows, at::Tensor()), expected) < 1e-14);
  }
}

TEST_CASE("a weight wider than one tile is widened in tiles that need not divide it") {
  // 2^20 numbers a tile: 500 inputs give 2,097 outputs a tile, 5,000 outputs two and a rest.
  const at::Tensor weight = test::waves({5000, 500}, 0.9, at::kBFloat16);
  const at::Tensor bias = test::waves({5000}, 0.3, at::kBFloat16);
  const at::Tensor x = test::waves({40, 500}, 1.3, at::kFloat);  // too many for thin products
  REQUIRE(backward_error(x, weight, bias) < tolerance(at::kFloat));
  const at::Tensor conv = test::waves({500, 5000}, 0.9, at::kHalf).t();
  REQUIRE(backward_error(x, conv, at::Tensor()) < tolerance(at::kFloat));
  const at::Tensor row = test::waves({2, 1100000}, 0.9, at::kHalf);  // a row is wider than a tile
  const at::Tensor long_x = test::waves({1, 1100000}, 1.3, at::kDouble);
  REQUIRE(test::relative(linear(long_x, row, at::Tensor()),
                         at::linear(long_x, row.to(at::kDouble))) < 1e-12);
}

TEST_CASE("widening keeps gradients, of what is wanted") {
  const at::Tensor weight = test::waves({7, 5}, 0.9, at::kFloat).requires_grad_(true);
  const at::Tensor x = test::waves({3, 5}, 1.3).requires_grad_(true);
  linear(x, weight, at::Tensor()).sum().backward();
  REQUIRE(test::relative(weight.grad(), x.detach().sum(0).expand({7, 5})) < 1e-6);
  REQUIRE(test::relative(x.grad(), weight.detach().to(at::kDouble).sum(0).expand({3, 5})) < 1e-12);
}

TEST_CASE("a deterministic product is the product") {
  const DeterministicGuard guard(true);
  const at::Tensor x = test::waves({70, 30}, 1.3, at::kFloat);
  for (const auto stored : {at::kFloat, at::kBFloat16}) {
    const at::Tensor weight = test::waves({37, 30}, 0.7, stored);
    REQUIRE(test::relative(linear(x, weight, at::Tensor()), by_hand(x, weight, at::Tensor())) <
            1e-6);
  }
}

}  // namespace lenswright::test_linear
