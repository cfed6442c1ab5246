#include "nn/activation.h"

#include <cmath>

#include "nn/deterministic.h"
#include "tensors.h"

namespace lenswright::test_activation {
namespace {

double reference(double x, Activation function, double alpha) {
  const double pi = std::acos(-1.0);
  switch (function) {
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::relu2:
      return x > 0 ? x * x : 0;
    case Activation::gelu:
      return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_rounded:
      return 0.5 * x * (1 + std::tanh(0.79788456 * (x + 0.044715 * x * x * x)));
    case Activation::gelu_quick:
      return x / (1 + std::exp(-alpha * x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::xielu:
      break;
  }
  return NAN;
}

constexpr Activation kAll[] = {
    Activation::relu,         Activation::relu2,      Activation::gelu, Activation::gelu_tanh,
    Activation::gelu_rounded, Activation::gelu_quick, Activation::silu};

void check(const at::Tensor& x, Activation function, double alpha) {
  at::Tensor expected = at::empty_like(x);
  for (int64_t i = 0; i < x.size(0); ++i) {
    expected[i] = reference(x[i].item<double>(), function, alpha);
  }
  const auto found = [&](at::ScalarType type) { return activation(x.to(type), function, alpha); };
  REQUIRE((found(at::kDouble) - expected).abs().max().item<double>() < 2e-14);
  REQUIRE(test::relative(found(at::kFloat), expected) < 1e-6);
  REQUIRE(test::relative(found(at::kHalf), expected) < 2e-3);
  REQUIRE(test::relative(found(at::kBFloat16), expected) < 2e-2);
  REQUIRE(found(at::kBFloat16).scalar_type() == at::kBFloat16);
}

Xielu some_xielu() {
  const auto one = [](double value) { return at::tensor({value}, at::kDouble); };
  return {one(0.8), one(-0.3), one(0.5), one(-1e-6)};
}

double softplus(double x) { return std::log1p(std::exp(x)); }

// arXiv:2411.13010, eq. 6: a parabola to the right of zero, an exponential to its left.
double xielu_reference(double x, const Xielu& w) {
  const double beta = w.beta.item<double>();
  if (x > 0) return softplus(w.alpha_p.item<double>()) * x * x + beta * x;
  const double left = beta + softplus(w.alpha_n.item<double>());
  return (std::expm1(std::min(x, w.eps.item<double>())) - x) * left + beta * x;
}

}  // namespace

TEST_CASE("activations are their formulas") {
  const at::Tensor x = at::linspace(-9, 9, 181, at::kDouble);
  for (Activation function : kAll) check(x, function, 1.702);
  for (double alpha : {1.0, 0.7, 2.5}) check(x, Activation::gelu_quick, alpha);
  const at::Tensor plain = activation(x, Activation::gelu_quick);
  REQUIRE(test::same(plain, activation(x, Activation::gelu_quick, 1.702)));
}

TEST_CASE("the activation with weights is its formula, its weights in any type") {
  const at::Tensor x = at::linspace(-9, 9, 182, at::kDouble);
  const Xielu w = some_xielu();
  at::Tensor expected = at::empty_like(x);
  for (int64_t i = 0; i < x.size(0); ++i) expected[i] = xielu_reference(x[i].item<double>(), w);
  REQUIRE(test::relative(xielu(x, w), expected) < 1e-15);
  REQUIRE(test::relative(xielu(x.to(at::kFloat), w), expected) < 1e-6);
  REQUIRE(test::relative(xielu(x.to(at::kBFloat16), w), expected) < 2e-2);
  const auto narrow = [](const at::Tensor& t) { return t.to(at::kBFloat16); };
  const Xielu stored = {narrow(w.alpha_p), narrow(w.alpha_n), narrow(w.beta), narrow(w.eps)};
  REQUIRE(xielu(x, stored).scalar_type() == at::kDouble);
  REQUIRE(test::relative(xielu(x, stored), expected) < 1e-2);
  REQUIRE(xielu(x.view({2, 7, 13}), w).sizes() == at::IntArrayRef({2, 7, 13}));
}

TEST_CASE("a deterministic activation depends on its own number only") {
  const DeterministicGuard guard(true);
  const at::Tensor x = 4 * test::waves({3, 16411}, 0.9, at::kFloat);
  const auto check_own = [&](const auto& function) {
    const at::Tensor all = function(x);
    REQUIRE(test::relative(all, function(x.to(at::kDouble))) < 1e-6);
    for (int64_t row = 0; row < 3; ++row) {
      REQUIRE(test::same(all[row], function(x[row])));
      const at::Tensor tail = x[row].narrow(0, 16001, 13);
      REQUIRE(test::same(all[row].narrow(0, 16001, 13), function(tail)));
    }
  };
  for (Activation f : kAll) check_own([f](const at::Tensor& t) { return activation(t, f); });
  check_own([](const at::Tensor& t) { return xielu(t, some_xielu()); });
}

TEST_CASE("gradients go through an activation's weights, in deterministic runs too") {
  const at::Tensor x = test::waves({40}, 0.9);
  for (const bool exact : {false, true}) {
    const DeterministicGuard guard(exact);
    Xielu w = some_xielu();
    w.alpha_p.requires_grad_(true);
    xielu(x, w).sum().backward();
    // d/da softplus(a) = sigmoid(a), times the squares of what is positive
    const double expected =
        (at::relu(x).square().sum() * at::sigmoid(at::tensor(0.8, at::kDouble))).item<double>();
    REQUIRE(w.alpha_p.grad().item<double>() == Approx(expected).epsilon(1e-12));
    const at::Tensor wanted = x.clone().requires_grad_(true);
    activation(wanted, Activation::relu2).sum().backward();
    REQUIRE(test::relative(wanted.grad(), 2 * at::relu(x)) < 1e-15);
  }
}

TEST_CASE("an activation times a factor has the bytes of its parts") {
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (const Activation function : kAll) {
      for (const int64_t rows : {1, 7, 40}) {
        const at::Tensor x = test::waves({rows, 701}, 1.7, type) * 9;
        const at::Tensor factor = test::waves({701, rows}, 0.6, type).t();  // not dense
        const at::Tensor alone = activation(x, function);
        at::Tensor to = at::empty_like(x);
        activation_into(to, x, {}, function);
        REQUIRE(test::same(to, alone));
        activation_into(to, x, factor, function);
        REQUIRE(test::same(to, alone * factor));
      }
    }
  }
}

TEST_CASE("silu at the ends of what a float holds, and the same bytes in any place") {
  const at::Tensor x = at::tensor({-1e30, -200.0, -88.0, -87.0, 0.0, 87.0, 1e30}, at::kFloat);
  const at::Tensor expected = x.to(at::kDouble) / (1 + (-x.to(at::kDouble)).exp());
  const at::Tensor found = activation(x, Activation::silu);
  REQUIRE((found - expected).abs().lt(1e-7 * (1 + expected.abs())).all().item<bool>());
  const at::Tensor many = test::waves({40000}, 1.7, at::kFloat) * 20;
  const at::Tensor all = activation(many, Activation::silu);
  for (const int64_t start : {1, 3, 16383, 39990}) {
    REQUIRE(test::same(activation(many.narrow(0, start, 10), Activation::silu),
                       all.narrow(0, start, 10)));
  }
  REQUIRE(activation(at::full({3}, NAN, at::kFloat), Activation::silu).isnan().all().item<bool>());
}

}  // namespace lenswright::test_activation
