#include "base/quantised_matrix.h"

#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.h"

using namespace lenswright;

namespace {

// The definition of E4M3, written plainly.
double e4m3(unsigned code) {
  const int exponent = static_cast<int>(code >> 3 & 15u), mantissa = static_cast<int>(code & 7u);
  const double sign = code >= 128 ? -1 : 1;
  if (exponent == 15 && mantissa == 7) return NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -9);
  return sign * std::ldexp(8 + mantissa, exponent - 10);
}

// The definition of E2M1: a sign, two bits of exponent with bias 1, one of mantissa.
double e2m1(unsigned code) {
  const int exponent = static_cast<int>(code >> 1 & 3u), mantissa = static_cast<int>(code & 1u);
  const double sign = (code & 8u) != 0 ? -1 : 1;
  if (exponent == 0) return sign * mantissa * 0.5;
  return sign * std::ldexp(2 + mantissa, exponent - 2);
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

std::vector<std::byte> every_byte() {
  std::vector<std::byte> bytes(256);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

}  // namespace

TEST_CASE("fp8: every code times its block's scale, rounded to float32") {
  const std::vector<std::byte> codes = every_byte();
  const std::array<float, 4> scales = {1.0f, 0.3f, -7.7e-5f, 1e-38f};
  QuantisedMatrix matrix{Quantisation::fp8, "scales", 2, 128, codes.data(), scales.data()};
  matrix.grid = {1, 100, 2};  // a ragged second block of 28
  std::array<float, 128> single{};
  std::array<double, 128> wide{};
  for (int64_t row = 0; row < 2; ++row) {
    matrix.read(row, 0, 128, single.data());
    matrix.read(row, 0, 128, wide.data());
    for (size_t i = 0; i < 128; ++i) {
      const float scale = scales[static_cast<size_t>(2 * row) + (i < 100 ? 0 : 1)];
      const auto code = static_cast<unsigned>(128 * row) + static_cast<unsigned>(i);
      const float expected = static_cast<float>(e4m3(code)) * scale;
      if (!same(single[i], expected) || !same(wide[i], expected)) FAIL("code " << code);
    }
  }
}

TEST_CASE("fp8: blocks of rows and columns, and halves whose blocks begin anew") {
  const std::vector<std::byte> codes(10 * 7, std::byte{0x38});  // 1.0
  std::vector<float> scales(3 * 3 * 2);
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(i + 1);
  const auto scale_at = [&](const BlockGrid& grid, int64_t row, int64_t column) {
    QuantisedMatrix matrix{Quantisation::fp8, "s", 10, 7, codes.data(), scales.data()};
    matrix.grid = grid;
    float value = 0;
    matrix.read(row, column, 1, &value);
    return static_cast<int>(value);
  };
  for (int64_t row = 0; row < 10; ++row) {
    for (int64_t column = 0; column < 7; ++column) {
      const auto block = static_cast<int>(column / 3);
      REQUIRE(scale_at({4, 3, 3}, row, column) == 3 * static_cast<int>(row / 4) + block + 1);
      // Two matrices of 5 rows: blocks of 4 and 1, then again.
      const int high = static_cast<int>(row / 5 * 2 + row % 5 / 4);
      REQUIRE(scale_at({4, 3, 3, 5}, row, column) == 3 * high + block + 1);
    }
  }
}

TEST_CASE("mxfp4: both numbers of every byte, times every power of two") {
  const std::vector<std::byte> codes = every_byte();  // 16 groups of 32 numbers
  std::array<double, 512> wide{};
  std::array<float, 512> single{};
  for (unsigned exponent = 0; exponent < 255; ++exponent) {
    const std::vector<std::byte> exponents(16, static_cast<std::byte>(exponent));
    QuantisedMatrix matrix{Quantisation::mxfp4, "scales", 1, 512, codes.data()};
    matrix.exponents = exponents.data();
    matrix.read(0, 0, 512, wide.data());
    matrix.read(0, 0, 512, single.data());
    for (unsigned byte = 0; byte < 256; ++byte) {
      for (unsigned half = 0; half < 2; ++half) {
        const double number = e2m1(half == 0 ? byte & 15u : byte >> 4);
        const double expected = std::ldexp(number, static_cast<int>(exponent) - 127);
        if (!same(wide[2 * byte + half], expected)) FAIL("byte " << byte << ", " << exponent);
        if (!same(single[2 * byte + half], static_cast<float>(expected))) FAIL("byte " << byte);
      }
    }
  }
}

TEST_CASE("any part of a row is what the whole row has there") {
  const std::vector<std::byte> codes = every_byte();
  const std::array<float, 6> scales = {1.5f, 0.25f, 3.0f, 2.0f, 0.75f, 0.1f};
  const std::vector<std::byte> exponents = {std::byte{120}, std::byte{130}, std::byte{125},
                                            std::byte{127}};
  QuantisedMatrix fp8{Quantisation::fp8, "s", 2, 64, codes.data(), scales.data()};
  fp8.grid = {1, 25, 3};
  QuantisedMatrix mxfp4{Quantisation::mxfp4, "s", 2, 64, codes.data()};
  mxfp4.exponents = exponents.data();
  for (const QuantisedMatrix& matrix : {fp8, mxfp4}) {
    for (int64_t row = 0; row < 2; ++row) {
      std::array<double, 64> whole{}, part{};
      matrix.read(row, 0, 64, whole.data());
      for (int64_t first = 0; first < 64; ++first) {
        for (int64_t count = 1; first + count <= 64; ++count) {
          matrix.read(row, first, count, part.data());
          const bool equal = std::memcmp(part.data(), whole.data() + first,
                                         static_cast<size_t>(count) * sizeof(double)) == 0;
          if (!equal) FAIL("columns " << first << " to " << first + count);
        }
      }
    }
  }
}

TEST_CASE("an exponent of 255 is no number, and is named") {
  const std::vector<std::byte> codes(32), exponents = {std::byte{1}, std::byte{255}};
  QuantisedMatrix matrix{Quantisation::mxfp4, "down_proj_scales", 1, 64, codes.data()};
  matrix.exponents = exponents.data();
  std::array<float, 64> values{};
  REQUIRE_NOTHROW(matrix.read(0, 0, 32, values.data()));
  std::string said;
  try {
    matrix.read(0, 30, 4, values.data());
  } catch (const std::invalid_argument& error) {
    said = error.what();
  }
  REQUIRE(said.find("down_proj_scales") != std::string::npos);
  REQUIRE(said.find("255") != std::string::npos);
  REQUIRE_THROWS_AS(QuantisedMatrix{}.read(0, 0, 1, values.data()), std::logic_error);
}
