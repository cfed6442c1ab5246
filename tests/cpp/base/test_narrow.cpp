#include "base/narrow.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/widen.h"
#include "catch.h"

namespace lenswright::test_narrow {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

uint16_t narrowed(Dtype dtype, double value) {
  std::array<std::byte, 2> bytes;
  narrow(dtype, &value, 1, bytes.data());
  return std::bit_cast<uint16_t>(bytes);
}

double widened(Dtype dtype, uint16_t bits) {
  const auto bytes = std::bit_cast<std::array<std::byte, 2>>(bits);
  double value = 0;
  widen(dtype, bytes.data(), 1, &value);
  return value;
}

// Every number of the format, what lies halfway to the next, and what lies beside halfway.
void check_all(Dtype dtype, uint16_t infinity) {
  int wrong = 0;
  for (uint16_t bits = 0; bits < infinity; ++bits) {
    const uint16_t next = bits + 1, even = bits % 2 == 0 ? bits : next;
    const double low = widened(dtype, bits);
    // Infinity stands where the next number would be.
    const double high =
        next == infinity ? 2 * low - widened(dtype, bits - 1) : widened(dtype, next);
    const double middle = low + (high - low) / 2;
    for (const double sign : {1.0, -1.0}) {
      const uint16_t minus = sign < 0 ? 0x8000 : 0;
      wrong += narrowed(dtype, sign * low) != (bits | minus);
      wrong += narrowed(dtype, sign * middle) != (even | minus);
      wrong += narrowed(dtype, sign * std::nextafter(middle, 0.0)) != (bits | minus);
      wrong += narrowed(dtype, sign * std::nextafter(middle, kInfinity)) != (next | minus);
    }
  }
  REQUIRE(wrong == 0);
}

}  // namespace

TEST_CASE("narrow rounds every 16-bit number, and what lies between, to nearest even") {
  check_all(Dtype::f16, 0x7C00);
  check_all(Dtype::bf16, 0x7F80);
}

TEST_CASE("narrow keeps what is not finite") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double signalling = std::bit_cast<double>(uint64_t{0x7FF0000000000001});
  for (const auto& [dtype, infinity] : {std::pair{Dtype::f16, 0x7C00}, {Dtype::bf16, 0x7F80}}) {
    for (const double large : {kInfinity, 1e300, std::numeric_limits<double>::max()}) {
      REQUIRE(narrowed(dtype, large) == infinity);
      REQUIRE(narrowed(dtype, -large) == (infinity | 0x8000));
    }
    REQUIRE(std::isnan(widened(dtype, narrowed(dtype, nan))));
    REQUIRE(std::isnan(widened(dtype, narrowed(dtype, -nan))));
    REQUIRE(std::isnan(widened(dtype, narrowed(dtype, signalling))));
    REQUIRE(narrowed(dtype, std::numeric_limits<double>::denorm_min()) == 0);
    REQUIRE(narrowed(dtype, -0.0) == 0x8000);
  }
}

TEST_CASE("narrow in bulk is narrow one by one, at any address") {
  std::mt19937_64 random(1);
  std::vector<double> values(1003);
  for (double& value : values) {
    value = std::ldexp(std::uniform_real_distribution(-2.0, 2.0)(random),
                       std::uniform_int_distribution(-150, 130)(random));
  }
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16}) {
    const auto size = static_cast<size_t>(element_bytes(dtype));
    std::vector<std::byte> bytes(values.size() * size + 1);
    narrow(dtype, values.data(), static_cast<int64_t>(values.size()), bytes.data() + 1);
    int wrong = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      std::array<std::byte, 8> one{};
      narrow(dtype, &values[i], 1, one.data());
      wrong += std::memcmp(one.data(), bytes.data() + 1 + i * size, size) != 0;
    }
    REQUIRE(wrong == 0);
  }
  REQUIRE_FALSE(can_narrow(Dtype::f8_e4m3));
  REQUIRE_THROWS_AS(narrow(Dtype::i32, values.data(), 1, nullptr), std::invalid_argument);
}

}  // namespace lenswright::test_narrow
