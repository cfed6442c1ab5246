#include "base/widen.h"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "catch.h"

using namespace lenswright;

namespace {

template <typename Stored>
double widened(Dtype dtype, Stored stored) {
  double value = 0;
  widen(dtype, reinterpret_cast<const std::byte*>(&stored), 1, &value);
  return value;
}

// The definition of a binary float, written plainly.
double decoded(unsigned code, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const unsigned mantissa = code & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>(code >> mantissa_bits & ((1u << exponent_bits) - 1));
  const double sign = (code >> (exponent_bits + mantissa_bits)) != 0 ? -1 : 1;
  const double fraction = mantissa / std::ldexp(1.0, mantissa_bits);
  if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias);
  return sign * std::ldexp(1 + fraction, exponent - bias);
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

}  // namespace

TEST_CASE("widen: every 16-bit code") {
  for (unsigned code = 0; code < 65536; ++code) {
    const auto stored = static_cast<uint16_t>(code);
    if (!same(widened(Dtype::f16, stored), decoded(code, 5, 10))) FAIL("f16 code " << code);
    if (!same(widened(Dtype::bf16, stored), decoded(code, 8, 7))) FAIL("bf16 code " << code);
  }
}

TEST_CASE("widen: 8-bit formats") {
  for (unsigned code = 0; code < 256; ++code) {
    const auto stored = static_cast<uint8_t>(code);
    REQUIRE(same(widened(Dtype::f8_e5m2, stored), decoded(code, 5, 2)));
  }
  const auto value = [](Dtype d, int code) { return widened(d, static_cast<uint8_t>(code)); };
  REQUIRE(value(Dtype::f8_e4m3, 0x7E) == 448);
  REQUIRE(std::isnan(value(Dtype::f8_e4m3, 0x7F)));
  REQUIRE(std::isnan(value(Dtype::f8_e4m3, 0xFF)));
  REQUIRE(value(Dtype::f8_e4m3, 0x01) == std::ldexp(1.0, -9));
  REQUIRE(value(Dtype::f8_e4m3fnuz, 0x7F) == 240);
  REQUIRE(std::isnan(value(Dtype::f8_e4m3fnuz, 0x80)));
  REQUIRE(value(Dtype::f8_e5m2fnuz, 0x7F) == 57344);
  REQUIRE(std::isnan(value(Dtype::f8_e5m2fnuz, 0x80)));
  REQUIRE(value(Dtype::f8_e8m0, 127) == 1);
  REQUIRE(value(Dtype::f8_e8m0, 0) == std::ldexp(1.0, -127));
  REQUIRE(std::isnan(value(Dtype::f8_e8m0, 255)));
}

TEST_CASE("widen: unaligned addresses, and types it does not know") {
  std::vector<std::byte> buffer(1 + 3 * sizeof(float));
  const float values[] = {1.5f, -2.0f, 1e-40f};
  std::memcpy(buffer.data() + 1, values, sizeof values);
  double out[3];
  widen(Dtype::f32, buffer.data() + 1, 3, out);
  for (int i = 0; i < 3; ++i) REQUIRE(out[i] == static_cast<double>(values[i]));
  for (const Dtype d : {Dtype::i32, Dtype::f4, Dtype::f6_e2m3, Dtype::c64, Dtype::boolean}) {
    REQUIRE_FALSE(can_widen(d));
    REQUIRE_THROWS_AS(widen(d, buffer.data(), 1, out), std::invalid_argument);
  }
}
