#include "directions/difference_of_means.h"

#include <ATen/ATen.h>

#include <cmath>

#include "catch.h"

namespace lenswright::test_difference_of_means {
namespace {

// Two samples a half at one position, so that every number can be worked out by hand.
Moments half(std::vector<double> first, std::vector<double> second) {
  const auto width = static_cast<int64_t>(first.size());
  Moments moments(1, width);
  const at::Tensor cell = at::zeros({1}, at::kLong);
  moments.add(at::tensor(first, at::kDouble).unsqueeze(0), cell);
  moments.add(at::tensor(second, at::kDouble).unsqueeze(0), cell);
  return moments;
}

double close(const at::Tensor& a, double b) { return std::abs(a.item<double>() - b); }

}  // namespace

TEST_CASE("the difference of two means, worked out by hand") {
  const Halves positive{half({3, 5}, {5, 5}), half({3, 3}, {5, 3})};
  const Halves negative{half({0, 0}, {2, 0}), half({0, 0}, {2, 0})};
  const MeanDifference found = difference_of_means(positive, negative);
  // Means (4, 4) and (1, 0); variances (4/3, 4/3) and (4/3, 0).
  REQUIRE(at::allclose(found.raw, at::tensor({3.0, 4.0}, at::kDouble).unsqueeze(0)));
  REQUIRE(close(found.norm, 5.0) < 1e-12);
  REQUIRE(at::allclose(found.unit, at::tensor({0.6, 0.8}, at::kDouble).unsqueeze(0)));
  REQUIRE(close(found.standard_error, 1.0) < 1e-12);  // sqrt((4/3 + 4/3 + 4/3) / 4)
  // Halves differ by (3, 5) and (3, 3).
  REQUIRE(close(found.split_cosine, 24.0 / std::sqrt(34.0 * 18.0)) < 1e-12);
  // Along (0.6, 0.8): 4/3 and 0.36 * 4/3.
  REQUIRE(close(found.separation, 5.0 / std::sqrt((4.0 / 3.0) * 1.36 / 2.0)) < 1e-12);
}

TEST_CASE("classes that do not differ have no direction, and no halves to compare") {
  const Halves same{half({1, 2}, {3, 4}), half({1, 2}, {3, 4})};
  const MeanDifference found = difference_of_means(same, same);
  REQUIRE(found.norm.item<double>() == 0.0);
  REQUIRE(at::equal(found.unit, at::zeros({1, 2}, at::kDouble)));
  REQUIRE(std::isnan(found.split_cosine.item<double>()));
  REQUIRE(found.standard_error.item<double>() > 0.0);
}

TEST_CASE("an empty half leaves the direction but no split") {
  const Halves positive{half({1, 0}, {3, 0}), Moments(1, 2)};
  const Halves negative{half({0, 1}, {0, 3}), half({0, 1}, {0, 3})};
  const MeanDifference found = difference_of_means(positive, negative);
  REQUIRE(at::allclose(found.raw, at::tensor({2.0, -2.0}, at::kDouble).unsqueeze(0)));
  REQUIRE(std::isnan(found.split_cosine.item<double>()));
}

TEST_CASE("classes without samples or of other shapes are refused") {
  const Halves good{half({1, 0}, {3, 0}), half({1, 0}, {3, 0})};
  const Halves empty{Moments(1, 2), Moments(1, 2)};
  const Halves wider{half({1, 0, 0}, {3, 0, 0}), half({1, 0, 0}, {3, 0, 0})};
  REQUIRE_THROWS_AS(difference_of_means(good, empty), c10::ValueError);
  REQUIRE_THROWS_AS(difference_of_means(good, wider), c10::ValueError);
}

}  // namespace lenswright::test_difference_of_means
