#include "edits/factor_algebra.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"

namespace lenswright::test_factor_algebra {
namespace {

constexpr int64_t kOut = 7, kIn = 5;

// Numbers that look drawn, the same everywhere.
at::Tensor draw(at::IntArrayRef shape, int seed) {
  const int64_t count = c10::multiply_integers(shape);
  return at::sin(at::arange(1, count + 1, at::kDouble) * (12.9898 + seed)).reshape(shape);
}

Factors general(int seed) {
  Factors f;
  f.s = 1.0 + 0.1 * draw({kOut}, seed);
  f.u = 0.4 * draw({2, kOut}, seed + 1);
  f.v = 0.4 * draw({2, kOut}, seed + 2);
  f.c = 1.0 + 0.1 * draw({kIn}, seed + 3);
  f.a = draw({3, kOut}, seed + 4);
  f.b = draw({3, kIn}, seed + 5);
  f.shift = draw({kOut}, seed + 6);
  return f;
}

Factors without_inputs(Factors f) {
  f.c = at::Tensor();
  return f;
}

// W and its bias as one matrix, so that both are compared.
at::Tensor edited(const Factors& f, at::Tensor w, at::Tensor b) {
  const auto left = [&](at::Tensor x) {
    if (f.u.defined()) x = x - f.u.t().mm(f.v.mm(x));
    return f.s.defined() ? f.s.unsqueeze(1) * x : x;
  };
  w = left(w);
  b = left(b);
  if (f.c.defined()) w = w * f.c;
  if (f.a.defined()) w = w + f.a.t().mm(f.b);
  if (f.shift.defined()) b = b + f.shift.unsqueeze(1);
  return at::cat({w, b}, 1);
}

at::Tensor weights() { return draw({kOut, kIn + 1}, 100); }

at::Tensor edited(const Factors& f, const at::Tensor& both) {
  return edited(f, both.narrow(1, 0, kIn), both.narrow(1, kIn, 1));
}

bool alike(const at::Tensor& x, const at::Tensor& y) {
  return (x - y).abs().max().item<double>() < 1e-12;
}

}  // namespace

TEST_CASE("a composition is one edit after the other") {
  const Factors f = general(1), g = general(20);
  REQUIRE(alike(edited(composed(f, g, "w"), weights()), edited(g, edited(f, weights()))));
  REQUIRE(alike(edited(composed(Factors(), g, "w"), weights()), edited(g, weights())));
  REQUIRE(alike(edited(composed(f, Factors(), "w"), weights()), edited(f, weights())));
}

TEST_CASE("an inverse takes edited weights back") {
  const Factors f = general(1);
  REQUIRE(alike(edited(inverse(f, "w"), edited(f, weights())), weights()));
  Factors gone;
  gone.u = gone.v = at::ones({1, kOut}, at::kDouble) / std::sqrt(double(kOut));
  REQUIRE_THROWS_AS(inverse(gone, "w"), c10::ValueError);
}

TEST_CASE("sums and multiples are of changes") {
  const Factors f = without_inputs(general(1)), g = without_inputs(general(20));
  const at::Tensor w = weights();
  REQUIRE(alike(edited(sum(f, g, "w"), w), edited(f, w) + edited(g, w) - w));
  REQUIRE(alike(edited(scaled(f, -0.7, "w"), w), w - 0.7 * (edited(f, w) - w)));
  REQUIRE_THROWS_AS(sum(general(1), general(20), "w"), c10::ValueError);
  REQUIRE_THROWS_AS(scaled(general(1), 0.5, "w"), c10::ValueError);
}

TEST_CASE("rows of one edit meet another that has none") {
  Factors rows;
  rows.u = draw({3, 1, kOut}, 5);
  rows.v = draw({3, 1, kOut}, 6);
  const Factors one = without_inputs(general(1));
  for (const Factors& both : {composed(rows, one, "w"), sum(rows, one, "w")}) {
    REQUIRE(both.rows() == 3);
  }
  const Factors second = composed(rows, one, "w").row(1);
  REQUIRE(alike(edited(second, weights()), edited(one, edited(rows.row(1), weights()))));
}

}  // namespace lenswright::test_factor_algebra
