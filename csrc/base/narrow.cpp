#include "base/narrow.h"

#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/avx512.h"

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

LENSWRIGHT_CLONES void each_to_bfloat(const double* from, int64_t count, std::byte* to) {
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t bits = to16<7, 127>(from[i]);
    std::memcpy(to + 2 * i, &bits, 2);
  }
}

LENSWRIGHT_PLAIN void to_bfloat(const double* from, int64_t count, std::byte* to) {
  each_to_bfloat(from, count, to);
}

#ifdef LENSWRIGHT_HAS_CLONES
// Through float, rounded to odd: cut off, the last bit set where anything was cut. With more than
// two bits to spare rounding that once more is rounding once (Boldo and Melquiond 2008).
LENSWRIGHT_V4 inline __m256i odd_float(__m512d value, __mmask8& nan) {
  const __m256 cut = _mm512_cvt_roundpd_ps(value, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  const __mmask8 inexact = _mm512_cmp_pd_mask(_mm512_cvtps_pd(cut), value, _CMP_NEQ_UQ);
  nan = _mm512_cmp_pd_mask(value, value, _CMP_UNORD_Q);
  const __m256i bits = _mm256_castps_si256(cut);
  return _mm256_mask_or_epi32(bits, inexact, bits, _mm256_set1_epi32(1));
}

LENSWRIGHT_V4 void to_bfloat(const double* from, int64_t count, std::byte* to) {
  constexpr int64_t kSide = 16;
  int64_t i = 0;
  for (; i + kSide <= count; i += kSide) {
    __mmask8 low_nan, high_nan;
    const __m256i low = odd_float(_mm512_loadu_pd(from + i), low_nan);
    const __m256i high = odd_float(_mm512_loadu_pd(from + i + 8), high_nan);
    const __m512i bits = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    const __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i half = _mm512_add_epi32(even, _mm512_set1_epi32(0x7FFF));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
    const __m512i sign = _mm512_slli_epi32(_mm512_srli_epi32(bits, 31), 15);
    const auto nan = static_cast<__mmask16>(low_nan | high_nan << 8);
    const __m512i all =
        _mm512_mask_or_epi32(rounded, nan, sign, _mm512_set1_epi32(0x7FC0));  // the quiet one
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * i), _mm512_cvtepi32_epi16(all));
  }
  each_to_bfloat(from + i, count - i, to + 2 * i);
}
#endif

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
