#include "nn/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/philox.h"
#include "tensors.h"

namespace lenswright::test_sampling {
namespace {

constexpr double kOut = -std::numeric_limits<double>::infinity();
using Row = std::vector<double>;

Row softmax(const Row& logits) {
  const double high = *std::max_element(logits.begin(), logits.end());
  Row p;
  double sum = 0;
  for (double x : logits) sum += p.emplace_back(std::exp(x - high));
  for (double& x : p) x /= sum;
  return p;
}

// The definitions, one number at a time; no two logits are equal.
Row filtered_by_hand(Row x, const Sampling& how) {
  for (double& value : x) value /= how.temperature;
  std::vector<size_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] > x[b]; });
  if (how.top_k > 0) {
    for (size_t i = static_cast<size_t>(how.top_k); i < order.size(); ++i) x[order[i]] = kOut;
  }
  if (how.top_p < 1) {
    const Row p = softmax(x);
    double held = 0;  // by what is more probable
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0 && held >= how.top_p) x[order[i]] = kOut;
      held += p[order[i]];
    }
  }
  if (how.min_p > 0) {
    const Row p = softmax(x);
    const double least = how.min_p * *std::max_element(p.begin(), p.end());
    for (size_t i = 0; i < x.size(); ++i) {
      if (p[i] < least) x[i] = kOut;
    }
  }
  return x;
}

void require_equal(const at::Tensor& ours, const Row& expected) {
  const Row got = test::numbers(ours);
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i, got[i], expected[i]);
    REQUIRE((got[i] == expected[i] || std::abs(got[i] - expected[i]) < 1e-12));
  }
}

}  // namespace

TEST_CASE("filters leave what their definitions leave") {
  const at::Tensor logits = test::waves({3, 97}) * 4;
  for (const double temperature : {0.3, 1.0, 1.7}) {
    for (const int64_t top_k : {0, 1, 20, 200}) {
      for (const double top_p : {0.0, 0.4, 0.93, 1.0}) {
        for (const double min_p : {0.0, 0.05, 1.0}) {
          CAPTURE(temperature, top_k, top_p, min_p);
          const Sampling how{temperature, top_k, top_p, min_p};
          const at::Tensor left = filtered(logits, how);
          for (int64_t row = 0; row < 3; ++row) {
            require_equal(left[row], filtered_by_hand(test::numbers(logits[row]), how));
          }
        }
      }
    }
  }
}

TEST_CASE("top_p of a large vocabulary, where few tokens hold it and where many do") {
  const at::Tensor many = test::waves({2, 5003}) * 0.1, few = test::waves({2, 5003}, 2.3) * 12;
  for (const at::Tensor& logits : {many, few, at::cat({many, few})}) {
    for (const double top_p : {0.0, 0.5, 0.9, 0.999}) {
      const Sampling how{.temperature = 1, .top_p = top_p};
      const at::Tensor left = filtered(logits, how);
      for (int64_t row = 0; row < logits.size(0); ++row) {
        require_equal(left[row], filtered_by_hand(test::numbers(logits[row]), how));
      }
    }
  }
}

TEST_CASE("penalties: repetition on everything seen, the others on what was said") {
  const Row x = {2.0, -1.0, 3.0, -4.0, 0.5};
  const at::Tensor logits = at::tensor(x, at::kDouble).unsqueeze(0);
  const at::Tensor seen = at::tensor({1, 1, 0, 1, 0}, at::kInt).to(at::kBool).unsqueeze(0);
  const at::Tensor said = at::tensor({0, 3, 0, 1, 0}, at::kDouble).unsqueeze(0);
  Sampling how;
  REQUIRE_FALSE(how.penalizes());
  require_equal(penalized(logits, seen, said, how), x);
  how.repetition_penalty = 2;
  REQUIRE(how.penalizes());
  require_equal(penalized(logits, seen, said, how), {1.0, -2.0, 3.0, -8.0, 0.5});
  how.frequency_penalty = 0.25;
  require_equal(penalized(logits, seen, said, how), {1.0, -2.75, 3.0, -8.25, 0.5});
  how.presence_penalty = -1;
  require_equal(penalized(logits, seen, said, how), {1.0, -1.75, 3.0, -7.25, 0.5});
}

TEST_CASE("greedy takes the highest, the first of equals, and no NaN") {
  at::Tensor logits = test::waves({4, 97});
  for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    at::Tensor x = logits.to(type).clone();
    x[2][5] = x[2][90] = 7;
    const at::Tensor ids = greedy(x);
    for (int64_t row = 0; row < 4; ++row) {
      const Row values = test::numbers(x[row]);
      const auto high = std::max_element(values.begin(), values.end());
      REQUIRE(ids[row].item<int64_t>() == high - values.begin());
    }
    REQUIRE(ids[2].item<int64_t>() == 5);
    x[3][1] = std::nan("");
    REQUIRE_THROWS_AS(greedy(x), c10::ValueError);
    REQUIRE_THROWS_AS(drawn(x, {0, 0, 0, 0}, {0, 0, 0, 0}), c10::ValueError);
  }
}

TEST_CASE("a draw is the inverse of the distribution at the number of its seed and position") {
  const at::Tensor logits = filtered(test::waves({5, 97}) * 3, {1.0, 30, 0.9, 0.01});
  const std::vector<uint64_t> seeds = {0, 1, 1, uint64_t{1} << 63, 7};
  for (int64_t start = 0; start < 40; ++start) {
    const std::vector<int64_t> positions = {start, start, start + 1, start, 1000 * start};
    const at::Tensor ids = drawn(logits, seeds, positions);
    for (int64_t row = 0; row < 5; ++row) {
      const Row p = softmax(test::numbers(logits[row]));
      const double u =
          Philox(seeds[row], "generate").uniform(static_cast<uint64_t>(positions[row]));
      int64_t id = 0;
      for (double below = p[0]; below <= u; below += p[++id]) {
      }
      REQUIRE(ids[row].item<int64_t>() == id);
      REQUIRE(p[static_cast<size_t>(id)] > 0);
      // alone as among others
      const at::Tensor alone = drawn(logits.narrow(0, row, 1), {seeds[row]}, {positions[row]});
      REQUIRE(alone.item<int64_t>() == id);
    }
  }
}

TEST_CASE("numbers out of their range are refused by name") {
  const auto refused = [](auto change) {
    Sampling how;
    change(how);
    try {
      how.check();
    } catch (const c10::ValueError& error) {
      return std::string(error.what_without_backtrace());
    }
    return std::string();
  };
  const double nan = std::nan("");
  REQUIRE(refused([](Sampling&) {}).empty());
  REQUIRE(refused([](Sampling& s) { s.temperature = -1; }).find("temperature is -1") == 0);
  REQUIRE(refused([=](Sampling& s) { s.temperature = nan; }).find("temperature is nan") == 0);
  REQUIRE(refused([](Sampling& s) { s.top_k = -2; }).find("top_k is -2") == 0);
  REQUIRE(refused([](Sampling& s) { s.top_p = 1.5; }).find("top_p is 1.5") == 0);
  REQUIRE(refused([](Sampling& s) { s.min_p = -0.1; }).find("min_p is -0.1") == 0);
  REQUIRE(refused([](Sampling& s) { s.repetition_penalty = 0; }).find("repetition_penalty") == 0);
  REQUIRE(refused([=](Sampling& s) { s.frequency_penalty = nan; }).find("frequency_penalty") == 0);
  REQUIRE(refused([=](Sampling& s) { s.presence_penalty = nan; }).find("presence_penalty") == 0);
}

}  // namespace lenswright::test_sampling
