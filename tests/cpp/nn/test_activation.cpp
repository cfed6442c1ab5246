#include "nn/activation.h"

#include <cmath>

#include "nn/deterministic.h"
#include "tensors.h"

namespace lenswright {
namespace {

double reference(double x, Activation function) {
  const double pi = std::acos(-1.0);
  switch (function) {
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::gelu:
      return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
  }
  return NAN;
}

constexpr Activation kAll[] = {Activation::relu, Activation::gelu, Activation::gelu_tanh,
                               Activation::silu};

}  // namespace

TEST_CASE("activations are their formulas") {
  const at::Tensor x = at::linspace(-9, 9, 181, at::kDouble);
  for (Activation function : kAll) {
    at::Tensor expected = at::empty_like(x);
    for (int64_t i = 0; i < x.size(0); ++i) expected[i] = reference(x[i].item<double>(), function);
    REQUIRE((activation(x, function) - expected).abs().max().item<double>() < 1e-14);
    REQUIRE(test::relative(activation(x.to(at::kFloat), function), expected) < 1e-6);
    REQUIRE(test::relative(activation(x.to(at::kHalf), function), expected) < 2e-3);
    REQUIRE(test::relative(activation(x.to(at::kBFloat16), function), expected) < 2e-2);
  }
}

TEST_CASE("a deterministic activation depends on its own number only") {
  const DeterministicGuard guard(true);
  const at::Tensor x = 4 * test::waves({3, 16411}, 0.9, at::kFloat);
  for (Activation function : kAll) {
    const at::Tensor all = activation(x, function);
    REQUIRE(test::relative(all, activation(x.to(at::kDouble), function)) < 1e-6);
    for (int64_t row = 0; row < 3; ++row) {
      REQUIRE(test::same(all[row], activation(x[row], function)));
      const at::Tensor tail = x[row].narrow(0, 16001, 13);
      REQUIRE(test::same(all[row].narrow(0, 16001, 13), activation(tail, function)));
    }
  }
}

}  // namespace lenswright
