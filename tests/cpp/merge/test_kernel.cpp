#include "merge/kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/narrow.h"
#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

TEST_CASE("kernel: sums of any length") {
  const Philox random(0, "kernel");
  for (const int64_t n : {0, 1, 7, 8, 9, 16, 17, 1023, 1024}) {
    CAPTURE(n);
    std::vector<double> a, b;
    double product = 0, size = 0;
    for (int64_t i = 0; i < n; ++i) {
      a.push_back(random.normal(static_cast<uint64_t>(2 * i)));
      b.push_back(random.normal(static_cast<uint64_t>(2 * i + 1)));
      product += a.back() * b.back();
      size += std::abs(a.back());
    }
    REQUIRE(dot(a.data(), b.data(), n) == Approx(product).margin(1e-12));
    double products[3];
    dots(a.data(), b.data(), n, products);
    REQUIRE(products[0] == dot(a.data(), a.data(), n));
    REQUIRE(products[1] == dot(a.data(), b.data(), n));
    REQUIRE(products[2] == dot(b.data(), b.data(), n));
    REQUIRE(sum_abs(a.data(), n) == Approx(size).margin(1e-12));
    REQUIRE(count_nonzero(a.data(), n) == n);
  }
}

TEST_CASE("kernel: what is no number") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> a = {1, nan, -inf, 0, -2};
  for (const Dtype type : {Dtype::f64, Dtype::f32, Dtype::bf16, Dtype::f16}) {
    std::vector<std::byte> bytes(5 * 8);
    narrow(type, a.data(), 5, bytes.data());
    REQUIRE(count_not_finite(type, bytes.data(), 5) == 2);
  }
  const std::vector<double> many(1000, 1e39);  // which float32 has no room for
  std::vector<std::byte> bytes(4 * many.size());
  narrow(Dtype::f32, many.data(), 1000, bytes.data());
  REQUIRE(count_not_finite(Dtype::f32, bytes.data(), 1000) == 1000);
  std::vector<double> out(5);
  REQUIRE(magnitude(a.data(), 5, out.data()) == 2);
  REQUIRE(out == std::vector<double>{1, inf, inf, 0, 2});
}

TEST_CASE("kernel: many words at once are the words one by one") {
  const Philox random(0x123456789abcdef0, "words");
  std::vector<uint32_t> out(1000);
  for (const uint64_t first : {0ull, 1ull, 3ull, 4ull, 63ull, 1ull << 34, (1ull << 34) - 100}) {
    random.words(first, 1000, out.data());
    bool right = true;
    for (uint64_t i = 0; i < 1000; ++i) {
      right = right && out[i] == random.block((first + i) / 4)[(first + i) % 4];
    }
    REQUIRE(right);
  }
}

TEST_CASE("kernel: differences to a base, multiplied and added to it") {
  const Philox random(6, "differences");
  for (const int64_t n : {0, 1, 7, 8, 9, 16, 24, 33, 512}) {
    std::vector<std::vector<double>> x(6);
    for (size_t m = 0; m < x.size(); ++m) {
      for (int64_t i = 0; i < n; ++i) {
        x[m].push_back(std::round(9 * random.normal(m * 1000 + static_cast<uint64_t>(i))));
      }
    }
    // Whole numbers: no order of sums changes a bit.
    const std::vector<double>& base = x[0];
    double expected[3] = {}, found[3];
    for (size_t i = 0; i < base.size(); ++i) {
      const double a = x[1][i] - base[i], b = x[2][i] - base[i];
      expected[0] += a * a;
      expected[1] += a * b;
      expected[2] += b * b;
    }
    delta_dots(base.data(), x[1].data(), x[2].data(), n, found);
    REQUIRE(std::ranges::equal(found, expected));
    for (const size_t models : {1, 2, 3, 5}) {
      CAPTURE(n, models);
      std::vector<const double*> pointers;
      std::vector<double> weights, out(base.size());
      for (size_t m = 0; m < models; ++m) {
        pointers.push_back(x[m + 1].data());
        weights.push_back(std::ldexp(1.0, static_cast<int>(m) - 1));
      }
      add_deltas(base.data(), pointers, weights, n, out.data());
      for (size_t i = 0; i < base.size(); ++i) {
        double sum = base[i];
        for (size_t m = 0; m < models; ++m) sum += weights[m] * (pointers[m][i] - base[i]);
        REQUIRE(out[i] == sum);
      }
    }
  }
}

TEST_CASE("kernel: a vote, as one writes it down") {
  const Philox random(4, "vote");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const size_t models : {1, 2, 3, 4, 6}) {
    const int64_t n = 1201;
    CAPTURE(models);
    std::vector<std::vector<double>> deltas(models, std::vector<double>(n));
    std::vector<double> votes, weights, top(n), mean(n);
    for (size_t m = 0; m < models; ++m) {
      votes.push_back(random.normal(m));
      weights.push_back(random.normal(100 + m));
      for (int64_t i = 0; i < n; ++i) {
        deltas[m][i] = std::round(2 * random.normal(1000 + m * n + static_cast<uint64_t>(i)));
      }
    }
    deltas[models - 1][7] = nan;
    std::vector<const double*> pointers;
    for (const auto& delta : deltas) pointers.push_back(delta.data());
    elect(pointers, votes, weights, n, top.data());
    elect_mean(pointers, votes, weights, 0.25, n, mean.data());
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0, numerator = 0, divisor = 0;
      for (size_t m = 0; m < models; ++m) sum += votes[m] * deltas[m][i];
      for (size_t m = 0; m < models; ++m) {
        const double term = weights[m] * deltas[m][i];
        if (sum >= 0 ? term > 0 : term < 0) {
          numerator += term;
          divisor += weights[m];
        }
      }
      if (i == 7) {
        REQUIRE(std::isnan(top[i]));
        continue;
      }
      REQUIRE(top[i] == numerator);
      REQUIRE(mean[i] == numerator * (1 / std::max(0.25, divisor)));
    }
  }
}

TEST_CASE("kernel: a quotient is the quotient, to the last bit") {
  const Philox random(8, "quotient");
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<double> x = {0.0, -0.0, inf, -inf, 5e-324, -1e-310, 1e308, 1e-200, 1e200};
  for (uint64_t i = 0; x.size() < 50'003; ++i) {
    const double far = i % 5 == 0 ? std::exp2(40 * random.normal(2 * i + 1)) : 1;
    x.push_back(far * random.normal(2 * i));
  }
  for (const double d :
       {3.0, 0.7, 1.1999999999999997, -7.0, 1e-9, 1e300, 4.0, 0x1.fffffffffffffp0}) {
    std::vector<double> out = x;
    divide(d, static_cast<int64_t>(out.size()), out.data());
    bool right = true;
    for (size_t i = 0; i < x.size(); ++i) {
      right = right && out[i] == x[i] / d && std::signbit(out[i]) == std::signbit(x[i] / d);
    }
    REQUIRE(right);
  }
}

TEST_CASE("kernel: the largest, the smallest and the largest size of any number of them") {
  const Philox random(2, "largest");
  const double inf = std::numeric_limits<double>::infinity();
  REQUIRE(largest(nullptr, 0, -inf) == -inf);
  REQUIRE(smallest(nullptr, 0, 3) == 3);
  for (const int64_t n : {1, 7, 8, 9, 100}) {
    std::vector<double> x;
    for (int64_t i = 0; i < n; ++i) x.push_back(random.normal(static_cast<uint64_t>(i)) - 9);
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    REQUIRE(largest(x.data(), n, -inf) == *high);
    REQUIRE(smallest(x.data(), n, inf) == *low);
    std::vector<double> sizes(static_cast<size_t>(n) + 3);
    const double most = -*low;
    REQUIRE(magnitude(x.data(), n, sizes.data()) == most);
    x.push_back(-inf);
    x.insert(x.begin(), {std::nan(""), inf});
    REQUIRE(magnitude(x.data(), n + 3, sizes.data()) == most);
    REQUIRE(std::ranges::equal(std::vector{sizes[0], sizes[1], sizes.back()},
                               std::vector{inf, inf, inf}));
    REQUIRE(largest(x.data(), n + 3, -inf) == inf);
  }
}
