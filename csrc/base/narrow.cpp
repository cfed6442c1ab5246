#include "base/narrow.h"

#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/clones.h"

namespace lenswright {
namespace {

// 2^power, where it is a normal double.
constexpr double power_of_two(int power) {
  return std::bit_cast<double>(static_cast<uint64_t>(power + 1023) << 52);
}

// All ones where a < b, else 0, for numbers below 2^63; no comparison, hence no branch.
constexpr uint64_t mask_below(uint64_t a, uint64_t b) { return 0 - ((a - b) >> 63); }

constexpr uint64_t select(uint64_t mask, uint64_t yes, uint64_t no) {
  return (yes & mask) | (no & ~mask);
}

// A double as the bits of a 16-bit format, straight from the double: going through float would
// round twice. Integer arithmetic throughout, so that the loop around it becomes vector code.
template <int mantissa, int bias>
inline uint16_t to16(double value) {
  constexpr int shift = 52 - mantissa;
  constexpr uint64_t infinity = ((uint64_t{1} << (15 - mantissa)) - 1) << mantissa;
  constexpr uint64_t quiet_nan = infinity | uint64_t{1} << (mantissa - 1);
  // Halfway between the largest number and the one after it, which would have been even.
  constexpr double overflow = (2.0 - power_of_two(-mantissa - 1)) * power_of_two(bias);
  // One unit in its last place is the smallest subnormal number of the format: adding it rounds.
  constexpr double magic = power_of_two(53 - bias - mantissa);
  constexpr auto bits_of = [](double x) { return std::bit_cast<uint64_t>(x); };

  const uint64_t bits = bits_of(value) & ~(uint64_t{1} << 63);
  const uint64_t even = bits >> shift & 1;
  const uint64_t normal = ((bits + ((uint64_t{1} << (shift - 1)) - 1) + even) >> shift) -
                          (static_cast<uint64_t>(1023 - bias) << mantissa);
  const uint64_t subnormal = bits_of(std::bit_cast<double>(bits) + magic) - bits_of(magic);
  uint64_t result = select(mask_below(bits, bits_of(power_of_two(1 - bias))), subnormal, normal);
  result = select(mask_below(bits, bits_of(overflow)), result, infinity);
  result = select(mask_below(uint64_t{0x7FF} << 52, bits), quiet_nan, result);
  return static_cast<uint16_t>(result | bits_of(value) >> 63 << 15);
}

LENSWRIGHT_CLONES void to_bfloat(const double* from, int64_t count, std::byte* to) {
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t bits = to16<7, 127>(from[i]);
    std::memcpy(to + 2 * i, &bits, 2);
  }
}

LENSWRIGHT_CLONES void to_half(const double* from, int64_t count, std::byte* to) {
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t bits = to16<10, 15>(from[i]);
    std::memcpy(to + 2 * i, &bits, 2);
  }
}

LENSWRIGHT_CLONES void to_single(const double* from, int64_t count, std::byte* to) {
  for (int64_t i = 0; i < count; ++i) {
    const auto single = static_cast<float>(from[i]);
    std::memcpy(to + 4 * i, &single, 4);
  }
}

}  // namespace

bool can_narrow(Dtype dtype) {
  return dtype == Dtype::f64 || dtype == Dtype::f32 || dtype == Dtype::bf16 || dtype == Dtype::f16;
}

void narrow(Dtype dtype, const double* from, int64_t count, std::byte* to) {
  switch (dtype) {
    case Dtype::f64:
      if (count > 0) std::memcpy(to, from, static_cast<size_t>(count) * sizeof(double));
      return;
    case Dtype::f32:
      return to_single(from, count, to);
    case Dtype::bf16:
      return to_bfloat(from, count, to);
    case Dtype::f16:
      return to_half(from, count, to);
    default:
      throw std::invalid_argument("dtype " + std::string(wire_name(dtype)) +
                                  ": expected F64, F32, BF16 or F16");
  }
}

}  // namespace lenswright
