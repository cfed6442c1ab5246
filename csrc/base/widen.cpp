#include "base/widen.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "base/clones.h"

namespace lenswright {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// How an 8-bit format spells what is not finite.
enum class Special { ieee, only_nan_ones, only_nan_minus_zero };

double decode8(unsigned code, int exponent_bits, int mantissa_bits, int bias, Special special) {
  const double sign = (code & 0x80u) != 0 ? -1.0 : 1.0;
  const unsigned exponent = (code & 0x7Fu) >> mantissa_bits;
  const unsigned mantissa = code & ((1u << mantissa_bits) - 1);
  const unsigned last = (1u << exponent_bits) - 1;
  if (special == Special::ieee && exponent == last) return mantissa == 0 ? sign * kInfinity : kNan;
  if (special == Special::only_nan_ones && (code & 0x7Fu) == 0x7Fu) return kNan;
  if (special == Special::only_nan_minus_zero && code == 0x80u) return kNan;
  const unsigned whole = exponent == 0 ? mantissa : mantissa | 1u << mantissa_bits;
  const int power = static_cast<int>(exponent == 0 ? 1 : exponent) - bias - mantissa_bits;
  return sign * std::ldexp(static_cast<double>(whole), power);
}

using Table = std::array<double, 256>;

Table make_table(Dtype dtype) {
  Table table{};
  for (unsigned code = 0; code < 256; ++code) {
    double& value = table[code];
    switch (dtype) {
      case Dtype::f8_e5m2:
        value = decode8(code, 5, 2, 15, Special::ieee);
        break;
      case Dtype::f8_e4m3:
        value = decode8(code, 4, 3, 7, Special::only_nan_ones);
        break;
      case Dtype::f8_e4m3fnuz:
        value = decode8(code, 4, 3, 8, Special::only_nan_minus_zero);
        break;
      case Dtype::f8_e5m2fnuz:
        value = decode8(code, 5, 2, 16, Special::only_nan_minus_zero);
        break;
      default:
        value = code == 255 ? kNan : std::ldexp(1.0, static_cast<int>(code) - 127);
        break;
    }
  }
  return table;
}

const Table& table8(Dtype dtype) {
  static const Table e5m2 = make_table(Dtype::f8_e5m2);
  static const Table e4m3 = make_table(Dtype::f8_e4m3);
  static const Table e4m3fnuz = make_table(Dtype::f8_e4m3fnuz);
  static const Table e5m2fnuz = make_table(Dtype::f8_e5m2fnuz);
  static const Table e8m0 = make_table(Dtype::f8_e8m0);
  switch (dtype) {
    case Dtype::f8_e5m2:
      return e5m2;
    case Dtype::f8_e4m3:
      return e4m3;
    case Dtype::f8_e4m3fnuz:
      return e4m3fnuz;
    case Dtype::f8_e5m2fnuz:
      return e5m2fnuz;
    default:
      return e8m0;
  }
}

// Half to float without branches: shift the fields into place and rescale by a product, which is
// exact and turns subnormal numbers into normal ones.
float from_half(uint16_t half) {
  const uint32_t magnitude = uint32_t{half} << 13 & 0x0FFFE000u;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  const uint32_t special = (half & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | special | sign);
}

float from_bfloat(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

template <typename Stored, typename Convert>
[[gnu::always_inline]] inline void each(const std::byte* from, int64_t count, double* to,
                                        Convert convert) {
  for (int64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * static_cast<int64_t>(sizeof(Stored)), sizeof(Stored));
    to[i] = static_cast<double>(convert(stored));
  }
}

LENSWRIGHT_CLONES void each_half(const std::byte* from, int64_t count, double* to) {
  each<uint16_t>(from, count, to, [](uint16_t bits) { return from_half(bits); });
}

LENSWRIGHT_CLONES void each_bfloat(const std::byte* from, int64_t count, double* to) {
  each<uint16_t>(from, count, to, [](uint16_t bits) { return from_bfloat(bits); });
}

LENSWRIGHT_CLONES void each_single(const std::byte* from, int64_t count, double* to) {
  each<float>(from, count, to, [](float value) { return value; });
}

}  // namespace

bool can_widen(Dtype dtype) { return is_float(dtype) && element_bytes(dtype) > 0; }

void widen(Dtype dtype, const std::byte* from, int64_t count, double* to) {
  if (!can_widen(dtype)) {
    throw std::invalid_argument("dtype " + std::string(wire_name(dtype)) +
                                ": expected a floating-point type of 8 bits or more");
  }
  switch (dtype) {
    case Dtype::f64:
      return each<double>(from, count, to, [](double value) { return value; });
    case Dtype::f32:
      return each_single(from, count, to);
    case Dtype::f16:
      return each_half(from, count, to);
    case Dtype::bf16:
      return each_bfloat(from, count, to);
    default: {
      const Table& table = table8(dtype);
      return each<uint8_t>(from, count, to, [&](uint8_t code) { return table[code]; });
    }
  }
}

}  // namespace lenswright
