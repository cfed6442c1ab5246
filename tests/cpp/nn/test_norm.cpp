#include "nn/norm.h"

#include <cmath>

#include "nn/deterministic.h"
#include "tensors.h"

namespace lenswright::test_norm {
namespace {

constexpr double kEps = 1e-3;

// One row at a time, in float64. Where the gain has a row for each head, rows take turns with it.
at::Tensor by_hand(const at::Tensor& x, const Norm& rule, const at::Tensor& gain,
                   const at::Tensor& bias) {
  const size_t d = static_cast<size_t>(x.size(-1));
  std::vector<double> y = test::numbers(x);
  const std::vector<double> g = gain.defined() ? test::numbers(gain) : std::vector<double>();
  const std::vector<double> b = bias.defined() ? test::numbers(bias) : std::vector<double>();
  for (size_t start = 0; start < y.size(); start += d) {
    double mean = 0, square = 0;
    for (size_t i = 0; i < d; ++i) mean += y[start + i] / static_cast<double>(d);
    if (rule.kind == NormKind::rms) mean = 0;
    for (size_t i = 0; i < d; ++i) square += std::pow(y[start + i] - mean, 2);
    const double scale = std::sqrt(square / static_cast<double>(d) + rule.eps);
    for (size_t i = 0; i < d; ++i) {
      double& v = y[start + i];
      v = (v - mean) / scale;
      if (!g.empty()) v *= g[(start + i) % g.size()] + rule.offset;
      if (!b.empty()) v += b[(start + i) % b.size()];
    }
  }
  return at::tensor(y, at::kDouble).view(x.sizes());
}

double tolerance(at::ScalarType type) {
  if (type == at::kDouble) return 1e-14;
  if (type == at::kFloat) return 1e-6;
  return type == at::kHalf ? 3e-3 : 2e-2;
}

constexpr at::ScalarType kTypes[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16};

const std::vector<Norm> kRules = {{NormKind::layer, kEps},
                                  {NormKind::rms, kEps},
                                  {NormKind::layer, kEps, 1.0},
                                  {NormKind::rms, kEps, 1.0},
                                  {NormKind::layer, kEps, 1.0, true},
                                  {NormKind::rms, kEps, 1.0, true},
                                  {NormKind::rms, kEps, 0.0, true}};

at::Tensor some_x() { return 3 * test::waves({2, 5, 30}, 1.3) + 0.5; }

// Gains near 1, counted from the rule's offset.
at::Tensor some_gain(const Norm& rule, at::IntArrayRef shape = {30}) {
  return 1 - rule.offset + 0.3 * test::waves(shape, 0.3);
}

}  // namespace

TEST_CASE("norms are their formulas in every type, with gain and bias and without") {
  for (const Norm& rule : kRules) {
    for (const auto type : kTypes) {
      const at::Tensor x = some_x().to(type);
      const at::Tensor gain = some_gain(rule).to(type), bias = test::waves({30}, 0.8, type);
      for (const at::Tensor& g : {gain, at::Tensor()}) {
        for (const at::Tensor& b : {bias, at::Tensor()}) {
          const at::Tensor y = norm(x, rule, g, b);
          REQUIRE(y.scalar_type() == type);
          REQUIRE(test::relative(y, by_hand(x, rule, g, b)) < tolerance(type));
        }
      }
    }
  }
}

TEST_CASE("a norm's gain may be each head's own") {
  const at::Tensor x = 3 * test::waves({2, 5, 4, 6}, 1.3) + 0.5;
  for (const Norm& rule : kRules) {
    for (const auto type : kTypes) {
      const at::Tensor gain = some_gain(rule, {4, 6}).to(type);
      const at::Tensor bias = test::waves({4, 6}, 0.8, type), in = x.to(type);
      REQUIRE(test::relative(norm(in, rule, gain, bias), by_hand(in, rule, gain, bias)) <
              tolerance(type));
      REQUIRE(test::relative(norm(in, rule, gain, {}), by_hand(in, rule, gain, {})) <
              tolerance(type));
    }
  }
}

TEST_CASE("a norm's gain is applied before rounding to 16 bits where it is wide, else after") {
  const at::Tensor x = some_x().to(at::kBFloat16), gain = some_gain(kRules[3]).to(at::kBFloat16);
  const at::Tensor f = x.to(at::kFloat);
  const at::Tensor normed = f * at::rsqrt(f.square().mean(-1, true) + kEps);
  const auto rounded = [](const at::Tensor& t) { return t.to(at::kBFloat16).to(at::kFloat); };
  const at::Tensor before = rounded(normed * (gain.to(at::kFloat) + 1));
  const at::Tensor after = rounded(rounded(normed) * rounded(gain.to(at::kFloat) + 1));
  const Norm wide{NormKind::rms, kEps, 1.0, true}, narrow{NormKind::rms, kEps, 1.0, false};
  REQUIRE(test::same(norm(x, wide, gain, {}).to(at::kFloat), before));
  REQUIRE(test::same(norm(x, narrow, gain, {}).to(at::kFloat), after));
  REQUIRE_FALSE(test::same(before, after));
}

TEST_CASE("the parts of a norm make the whole") {
  const at::Tensor x = some_x(), bias = test::waves({30}, 0.8);
  for (const Norm& rule : kRules) {
    const at::Tensor scale = norm_scale(x, rule), gain = some_gain(rule);
    REQUIRE(scale.sizes() == at::IntArrayRef({2, 5, 1}));
    const at::Tensor normalized = norm_normalized(x, scale, rule);
    REQUIRE(test::relative(normalized, by_hand(x, rule, {}, {})) < 1e-14);
    REQUIRE(test::relative(norm_gain(normalized, rule, gain, bias), norm(x, rule, gain, bias)) <
            1e-14);
  }
}

TEST_CASE("half types are normed in float32: large numbers do not overflow") {
  const at::Tensor x = at::full({1, 64}, 1000.0, at::kHalf);  // squares are beyond float16
  const at::Tensor y = norm(x, {NormKind::rms, 1e-6}, at::ones({64}, at::kHalf), {});
  REQUIRE((y.to(at::kDouble) - 1).abs().max().item<double>() < 1e-3);
}

TEST_CASE("a norm's gain of another type is taken in x's") {
  const at::Tensor x = test::waves({3, 30}, 1.3, at::kFloat);
  for (const Norm& rule : kRules) {
    const at::Tensor gain = some_gain(rule).to(at::kBFloat16);
    const at::Tensor y = norm(x, rule, gain, {});
    REQUIRE(y.scalar_type() == at::kFloat);
    REQUIRE(test::relative(y, by_hand(x, rule, gain, {})) < 1e-6);
  }
}

TEST_CASE("a deterministic norm depends on its own row only") {
  const DeterministicGuard guard(true);
  const at::Tensor x = test::waves({150, 37}, 1.3, at::kFloat);
  for (const Norm& rule : kRules) {
    const at::Tensor gain = some_gain(rule, {37}).to(at::kFloat);
    const at::Tensor all = norm(x, rule, gain, {});
    REQUIRE(test::relative(all, by_hand(x, rule, gain, {})) < 1e-6);
    for (int64_t start : {0, 64, 149}) {
      REQUIRE(test::same(norm(x.narrow(0, start, 1), rule, gain, {}), all.narrow(0, start, 1)));
    }
  }
}

TEST_CASE("a norm in one pass rounds as its two parts do") {
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (double offset : {0.0, 1.0}) {
      const Norm rule{NormKind::rms, kEps, offset};
      const at::Tensor x = some_x().to(type), gain = some_gain(rule).to(type);
      const at::Tensor factor = offset == 0.0 ? gain : gain + offset;
      REQUIRE(test::same(norm(x, rule, gain, {}), norm(x, rule, {}, {}) * factor));
    }
  }
}

}  // namespace lenswright::test_norm
