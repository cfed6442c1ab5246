#include "merge/gram.h"

#include "catch.h"
#include "merge/spherical.h"

using namespace lenswright;

TEST_CASE("gram: inner products of combinations") {
  const std::vector<double> a = {3, 0, 4}, b = {1, 2, 0};
  Gram gram(2);
  const std::vector<const double*> x = {a.data(), b.data()};
  add_products(x, 3, gram);
  REQUIRE(gram(0, 0) == 25);
  REQUIRE(gram(0, 1) == 3);
  REQUIRE(gram(1, 0) == 3);
  REQUIRE(gram.norm(0) == 5);
  // (2a - b) · (a + b) = 50 + 6 - 3 - 5
  REQUIRE(gram.dot(std::vector<double>{2, -1}, std::vector<double>{1, 1}) == Approx(48));
}

TEST_CASE("spherical: on the circle, and where there is none") {
  const Coefficients middle = on_circle(0, 0.5, 0.9995);
  REQUIRE(middle[0] == Approx(std::sqrt(0.5)));
  REQUIRE(middle[1] == Approx(std::sqrt(0.5)));
  REQUIRE(on_circle(1, 0.25, 0.9995) == Coefficients{0.75, 0.25});
  REQUIRE(on_circle(-0.99999, 0.25, 0.9995) == Coefficients{0.75, 0.25});
  REQUIRE(on_circle(-0.99999, 0.25, 1)[0] > 10);
  REQUIRE(on_circle(0.99999999, 0.25, 0.9995)[0] == Approx(0.75));
}
