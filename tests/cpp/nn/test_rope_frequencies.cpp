#include "nn/rope_frequencies.h"

#include <cmath>
#include <functional>
#include <numbers>

#include "nn/deterministic.h"
#include "tensors.h"

namespace lenswright::test_rope_frequencies {
namespace {

using Numbers = std::vector<double>;

constexpr double kTurn = 2 * std::numbers::pi;

// The formulas in float64; what is tested rounds to float32 at every step.
double plain(const Rope& r, int64_t pair, double theta) {
  return std::pow(theta, -2.0 * static_cast<double>(pair) / static_cast<double>(r.dim));
}

double llama3(const Rope& r, int64_t pair) {
  const double f = plain(r, pair, r.theta), ctx = static_cast<double>(r.original_ctx);
  const double wave = kTurn / f;
  if (wave < ctx / r.high_freq_factor) return f;
  if (wave > ctx / r.low_freq_factor) return f / r.factor;
  const double mix = (ctx / wave - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
  return (1 - mix) * f / r.factor + mix * f;
}

double yarn(const Rope& r, int64_t pair) {
  const double dim = static_cast<double>(r.dim), ctx = static_cast<double>(r.original_ctx);
  const auto turning = [&](double rotations) {
    return dim * std::log(ctx / (rotations * kTurn)) / (2 * std::log(r.theta));
  };
  double low = turning(r.beta_fast), high = turning(r.beta_slow);
  if (r.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  const double ramp = std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
  const double f = plain(r, pair, r.theta);
  return f / r.factor * ramp + f * (1 - ramp);
}

double dynamic(const Rope& r, int64_t pair, int64_t length) {
  if (length <= r.original_ctx) return plain(r, pair, r.theta);
  const double dim = static_cast<double>(r.dim), ctx = static_cast<double>(r.original_ctx);
  const double grown = r.factor * static_cast<double>(length) / ctx - (r.factor - 1);
  return plain(r, pair, r.theta * std::pow(grown, dim / (dim - 2)));
}

double longrope(const Rope& r, int64_t pair, int64_t length) {
  const Numbers& factors = length > r.original_ctx ? r.long_factors : r.short_factors;
  return plain(r, pair, r.theta) / factors[static_cast<size_t>(pair)];
}

// Every number by itself: float32's roundings, the power's exponent among them.
void check(const at::Tensor& found, const Rope& r, const std::function<double(int64_t)>& expected) {
  REQUIRE(found.scalar_type() == at::kFloat);
  REQUIRE(found.sizes() == at::IntArrayRef({r.dim / 2}));
  for (int64_t pair = 0; pair < r.dim / 2; ++pair) {
    CAPTURE(pair);
    REQUIRE(found[pair].item<double>() == Approx(expected(pair)).epsilon(3e-6));
  }
}

at::Tensor rows(const std::vector<int64_t>& lengths) { return at::tensor(lengths, at::kLong); }

Rope made(RopeScaling scaling, int64_t dim, double theta, double factor, int64_t ctx) {
  Rope rope;
  rope.scaling = scaling;
  rope.dim = dim;
  rope.theta = theta;
  rope.factor = factor;
  rope.original_ctx = ctx;
  return rope;
}

}  // namespace

TEST_CASE("rope frequencies are powers of theta, divided where they are scaled linearly") {
  for (int64_t dim : {2, 10, 128}) {
    for (double theta : {100.0, 10000.0, 5e5}) {
      const Rope one = made(RopeScaling::plain, dim, theta, 1.0, 0);
      check(rope_frequencies(one, rows({3, 700})), one,
            [&](int64_t pair) { return plain(one, pair, theta); });
      const Rope less = made(RopeScaling::linear, dim, theta, 3.3, 0);
      check(rope_frequencies(less, rows({3})), less,
            [&](int64_t pair) { return plain(less, pair, theta) / 3.3; });
    }
  }
}

TEST_CASE("rope frequencies of llama3 go by wavelength: long, short and between") {
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{{1, 4}, {2, 8}}) {
    Rope rope = made(RopeScaling::llama3, 64, 5e5, 8.0, 8192);
    rope.low_freq_factor = low;
    rope.high_freq_factor = high;
    int kinds[3] = {0, 0, 0};
    for (int64_t pair = 0; pair < 32; ++pair) {
      const double ratio = llama3(rope, pair) / plain(rope, pair, 5e5);
      ++kinds[ratio == 1.0 ? 0 : ratio == 1.0 / 8 ? 1 : 2];
    }
    for (int count : kinds) REQUIRE(count > 0);
    check(rope_frequencies(rope, rows({9})), rope,
          [&](int64_t pair) { return llama3(rope, pair); });
  }
}

TEST_CASE("rope frequencies of yarn are mixed by parts, their bounds whole numbers or not") {
  at::Tensor last;
  for (const bool truncate : {true, false}) {
    Rope rope = made(RopeScaling::yarn, 64, 150000.0, 32.0, 4096);
    rope.truncate = truncate;
    const at::Tensor found = rope_frequencies(rope, rows({9}));
    check(found, rope, [&](int64_t pair) { return yarn(rope, pair); });
    REQUIRE(yarn(rope, 0) == 1.0);                                      // a short wave is kept
    REQUIRE(yarn(rope, 31) == Approx(plain(rope, 31, 150000.0) / 32));  // a long one is not
    if (last.defined()) REQUIRE(test::relative(found / last, at::ones_like(found)) > 1e-3);
    last = found;
  }
  Rope steep = made(RopeScaling::yarn, 16, 10000.0, 4.0, 64);
  steep.truncate = false;
  steep.beta_fast = steep.beta_slow = 2.0;  // no pair between the bounds
  check(rope_frequencies(steep, rows({9})), steep, [&](int64_t pair) { return yarn(steep, pair); });
}

TEST_CASE("dynamic rope frequencies depend on each row's length") {
  for (int64_t dim : {10, 64}) {
    const Rope rope = made(RopeScaling::dynamic, dim, 10000.0, 3.3, 64);
    check(rope_frequencies(rope, rows({3, 64})), rope,
          [&](int64_t pair) { return plain(rope, pair, rope.theta); });
    const std::vector<int64_t> lengths = {3, 65, 64, 200};
    const at::Tensor found = rope_frequencies(rope, rows(lengths));
    REQUIRE(found.sizes() == at::IntArrayRef({4, dim / 2}));
    for (int64_t row = 0; row < 4; ++row) {
      check(found[row], rope, [&](int64_t pair) { return dynamic(rope, pair, lengths[row]); });
    }
    REQUIRE(test::same(found[0], found[2]));
    REQUIRE(found[3][1].item<double>() < 0.99 * found[0][1].item<double>());
  }
}

TEST_CASE("longrope's rope frequencies have factors for short rows and for long ones") {
  Rope rope = made(RopeScaling::longrope, 10, 10000.0, 1.0, 64);
  rope.short_factors = {1.0, 1.1, 1.3, 1.7, 2.0};
  rope.long_factors = {1.0, 4.4, 9.9, 30.5, 41.25};
  check(rope_frequencies(rope, rows({3, 64})), rope,
        [&](int64_t pair) { return longrope(rope, pair, 64); });
  const at::Tensor found = rope_frequencies(rope, rows({65, 64}));
  for (int64_t row = 0; row < 2; ++row) {
    check(found[row], rope, [&](int64_t pair) { return longrope(rope, pair, 65 - row); });
  }
}

TEST_CASE("a row's rope frequencies are its own to the byte, in any company") {
  const DeterministicGuard guard(true);
  std::vector<int64_t> lengths;
  for (int64_t row = 0; row < 37; ++row) lengths.push_back(60 + 3 * row);
  for (int64_t dim : {10, 64}) {
    const Rope rope = made(RopeScaling::dynamic, dim, 10000.0, 3.3, 64);
    const at::Tensor all = rope_frequencies(rope, rows(lengths));
    for (int64_t row = 0; row < 37; ++row) {
      const at::Tensor own = rope_frequencies(rope, rows({lengths[row]}));
      REQUIRE(test::same(own.dim() == 1 ? own : own[0], all[row]));
    }
  }
}

}  // namespace lenswright::test_rope_frequencies
