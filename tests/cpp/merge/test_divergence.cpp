#include "merge/divergence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/philox.h"
#include "catch.h"

using namespace lenswright;

namespace {

// Σ p log(p / q) as one writes it down, in more digits.
double written_down(const std::vector<double>& of, const std::vector<double>& from) {
  long double p_sum = 0, q_sum = 0, out = 0;
  for (const double x : of) p_sum += std::exp(static_cast<long double>(x));
  for (const double x : from) q_sum += std::exp(static_cast<long double>(x));
  for (size_t i = 0; i < of.size(); ++i) {
    const long double p = std::exp(static_cast<long double>(of[i])) / p_sum;
    const long double q = std::exp(static_cast<long double>(from[i])) / q_sum;
    out += p * std::log(p / q);
  }
  return static_cast<double>(out);
}

}  // namespace

TEST_CASE("divergence: of rows near and far, to many digits") {
  const Philox random(4, "divergence");
  for (const size_t n : {size_t{1}, size_t{2}, size_t{7}, size_t{8}, size_t{901}}) {
    for (const double size : {0.02, 1.0, 5.0}) {
      for (const double gap : {1e-3, 2e-2, 1.0}) {
        CAPTURE(n, size, gap);
        std::vector<double> of(n), from(n), a(n), b(n);
        for (size_t i = 0; i < n; ++i) {
          from[i] = size * random.normal(2 * i);
          of[i] = from[i] + size * gap * random.normal(2 * i + 1);
        }
        const std::vector<double*> room = {a.data(), b.data()};
        const double found = divergence(of.data(), from.data(), static_cast<int64_t>(n), room);
        const double expected = written_down(of, from);
        // The reference itself loses digits where the rows are near.
        REQUIRE(std::abs(found - expected) <= 1e-9 * expected + 1e-17);
        if (n == 1) REQUIRE(found == 0);
      }
    }
  }
}

TEST_CASE("divergence: of what is no number") {
  const double nan = std::nan(""), inf = HUGE_VAL;
  std::vector<double> a(3), b(3);
  const std::vector<double*> room = {a.data(), b.data()};
  const std::vector<double> plain = {0.1, 0.2, 0.3}, odd = {0.1, nan, 0.3}, far = {0.1, inf, 0.3};
  REQUIRE(std::isnan(divergence(odd.data(), plain.data(), 3, room)));
  REQUIRE(std::isnan(divergence(plain.data(), odd.data(), 3, room)));
  REQUIRE(std::isnan(divergence(far.data(), plain.data(), 3, room)));
  REQUIRE(divergence(plain.data(), plain.data(), 3, room) == 0);
}
