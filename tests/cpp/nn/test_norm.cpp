#include "nn/norm.h"

#include <cmath>

#include "nn/deterministic.h"
#include "tensors.h"

namespace lenswright {
namespace {

constexpr double kEps = 1e-3;

// One row at a time, in float64.
at::Tensor by_hand(const at::Tensor& x, NormKind kind, const at::Tensor& gain,
                   const at::Tensor& bias) {
  const int64_t d = x.size(-1);
  at::Tensor rows = x.to(at::kDouble).reshape({-1, d}).clone();
  for (int64_t r = 0; r < rows.size(0); ++r) {
    const std::vector<double> y = test::numbers(rows[r]);
    double mean = 0, square = 0;
    for (double v : y) mean += v / d;
    if (kind == NormKind::rms) mean = 0;
    for (double v : y) square += (v - mean) * (v - mean) / d;
    rows[r].sub_(mean).div_(std::sqrt(square + kEps));
  }
  rows = rows * gain.to(at::kDouble);
  if (bias.defined()) rows = rows + bias.to(at::kDouble);
  return rows.view(x.sizes());
}

constexpr NormKind kKinds[] = {NormKind::layer, NormKind::rms};

}  // namespace

TEST_CASE("norms are their formulas in every type") {
  const at::Tensor x64 = 3 * test::waves({2, 5, 30}, 1.3) + 0.5;
  for (NormKind kind : kKinds) {
    for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
      const at::Tensor x = x64.to(type);
      const at::Tensor gain = 1 + test::waves({30}, 0.3, type), bias = test::waves({30}, 0.8, type);
      const double limit = type == at::kDouble  ? 1e-14
                           : type == at::kFloat ? 1e-6
                           : type == at::kHalf  ? 3e-3
                                                : 2e-2;
      const at::Tensor y = norm(x, kind, kEps, gain, bias);
      REQUIRE(y.scalar_type() == type);
      REQUIRE(test::relative(y, by_hand(x, kind, gain, bias)) < limit);
      REQUIRE(test::relative(norm(x, kind, kEps, gain, {}), by_hand(x, kind, gain, {})) < limit);
    }
  }
}

TEST_CASE("the parts of a norm make the whole") {
  const at::Tensor x = 3 * test::waves({2, 5, 30}, 1.3) + 0.5;
  const at::Tensor gain = 1 + test::waves({30}, 0.3), bias = test::waves({30}, 0.8);
  for (NormKind kind : kKinds) {
    const at::Tensor scale = norm_scale(x, kind, kEps);
    REQUIRE(scale.sizes() == at::IntArrayRef({2, 5, 1}));
    const at::Tensor parts = norm_gain(norm_normalized(x, scale, kind), gain, bias);
    REQUIRE(test::relative(parts, norm(x, kind, kEps, gain, bias)) < 1e-14);
  }
}

TEST_CASE("half types are normed in float32: large numbers do not overflow") {
  const at::Tensor x = at::full({1, 64}, 1000.0, at::kHalf);  // squares are beyond float16
  const at::Tensor y = norm(x, NormKind::rms, 1e-6, at::ones({64}, at::kHalf), {});
  REQUIRE((y.to(at::kDouble) - 1).abs().max().item<double>() < 1e-3);
}

TEST_CASE("a weight of another type is taken in x's") {
  const at::Tensor x = test::waves({3, 30}, 1.3, at::kFloat);
  const at::Tensor gain = 1 + test::waves({30}, 0.3, at::kBFloat16);
  for (NormKind kind : kKinds) {
    const at::Tensor y = norm(x, kind, kEps, gain, {});
    REQUIRE(y.scalar_type() == at::kFloat);
    REQUIRE(test::relative(y, by_hand(x, kind, gain, {})) < 1e-6);
  }
}

TEST_CASE("a deterministic norm depends on its own row only") {
  const DeterministicGuard guard(true);
  const at::Tensor x = test::waves({150, 37}, 1.3, at::kFloat);
  const at::Tensor gain = 1 + test::waves({37}, 0.3, at::kFloat);
  for (NormKind kind : kKinds) {
    const at::Tensor all = norm(x, kind, kEps, gain, {});
    REQUIRE(test::relative(all, by_hand(x, kind, gain, {})) < 1e-6);
    for (int64_t start : {0, 64, 149}) {
      REQUIRE(
          test::same(norm(x.narrow(0, start, 1), kind, kEps, gain, {}), all.narrow(0, start, 1)));
    }
  }
}

}  // namespace lenswright
