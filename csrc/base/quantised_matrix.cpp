#include "base/quantised_matrix.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "base/clones.h"

namespace lenswright {
namespace {

// E4M3 (Micikevicius et al. 2022, arXiv:2209.05433, table 1) without a table or a branch, so that
// the loop around it becomes vector code: normal codes are the upper bits of a float with another
// bias, the others whole multiples of 2^-9.
inline float from_e4m3(uint8_t code) {
  const uint32_t magnitude = code & 0x7Fu;
  const float normal = std::bit_cast<float>((magnitude << 20) + (120u << 23));
  const float subnormal = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-9f;
  float value = magnitude < 8 ? subnormal : normal;
  value = magnitude == 0x7Fu ? std::numeric_limits<float>::quiet_NaN() : value;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | uint32_t{code & 0x80u} << 24);
}

LENSWRIGHT_CLONES void scaled_to_single(const uint8_t* codes, int64_t count, float scale,
                                        float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from_e4m3(codes[i]) * scale;
}

LENSWRIGHT_CLONES void scaled_to_double(const uint8_t* codes, int64_t count, float scale,
                                        double* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<double>(from_e4m3(codes[i]) * scale);
}

template <typename T>
void read_fp8(const QuantisedMatrix& m, int64_t row, int64_t first, int64_t count, T* to) {
  const auto* codes = reinterpret_cast<const uint8_t*>(m.codes) + row * m.columns;
  const float* scales = m.scales + m.grid.row_of(row) * m.grid.columns;
  for (int64_t column = first; column < first + count;) {
    const int64_t block = column / m.grid.block_columns;
    const int64_t size = std::min(first + count, (block + 1) * m.grid.block_columns) - column;
    if constexpr (std::is_same_v<T, float>) {
      scaled_to_single(codes + column, size, scales[block], to);
    } else {
      scaled_to_double(codes + column, size, scales[block], to);
    }
    column += size;
    to += size;
  }
}

constexpr std::array<float, 16> kE2m1 = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                         -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

// Both numbers of every byte.
constexpr auto kPairs = [] {
  std::array<std::array<float, 2>, 256> pairs{};
  for (size_t byte = 0; byte < 256; ++byte) pairs[byte] = {kE2m1[byte & 15], kE2m1[byte >> 4]};
  return pairs;
}();

// 2^(exponent - 127), of which float32 has the smallest as a subnormal number.
template <typename T>
T power(uint32_t exponent) {
  if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<double>(uint64_t{exponent + 896} << 52);
  else
    return std::bit_cast<float>(exponent == 0 ? 0x00400000u : exponent << 23);
}

[[noreturn]] void refuse_exponent(const QuantisedMatrix& m, int64_t row, int64_t group) {
  throw std::invalid_argument("tensor '" + std::string(m.name) + "': scale byte 255 (row " +
                              std::to_string(row) + ", group " + std::to_string(group) +
                              "), which is no number; expected 0 to 254");
}

template <typename T>
void read_mxfp4(const QuantisedMatrix& m, int64_t row, int64_t first, int64_t count, T* to) {
  const int64_t groups = m.columns / kMxGroup;
  const auto* codes = reinterpret_cast<const uint8_t*>(m.codes) + row * m.columns / 2;
  const auto* exponents = reinterpret_cast<const uint8_t*>(m.exponents) + row * groups;
  for (int64_t column = first; column < first + count;) {
    const int64_t group = column / kMxGroup;
    const int64_t end = std::min(first + count, (group + 1) * kMxGroup);
    if (exponents[group] == 255) refuse_exponent(m, row, group);
    const T scale = power<T>(exponents[group]);
    if (column % 2 != 0) *to++ = static_cast<T>(kPairs[codes[column++ / 2]][1]) * scale;
    for (; column + 1 < end; column += 2, to += 2) {
      const auto& pair = kPairs[codes[column / 2]];
      to[0] = static_cast<T>(pair[0]) * scale;
      to[1] = static_cast<T>(pair[1]) * scale;
    }
    if (column < end) *to++ = static_cast<T>(kPairs[codes[column++ / 2]][0]) * scale;
  }
}

template <typename T>
void read_any(const QuantisedMatrix& m, int64_t row, int64_t first, int64_t count, T* to) {
  if (m.form == Quantisation::fp8) return read_fp8(m, row, first, count, to);
  if (m.form == Quantisation::mxfp4) return read_mxfp4(m, row, first, count, to);
  throw std::logic_error("a matrix that is not quantised");
}

}  // namespace

std::string_view name_of(Quantisation form) {
  switch (form) {
    case Quantisation::none:
      return "none";
    case Quantisation::fp8:
      return "fp8";
    case Quantisation::mxfp4:
      return "mxfp4";
  }
  throw std::logic_error("unnamed quantisation");
}

void QuantisedMatrix::read(int64_t row, int64_t first, int64_t count, float* to) const {
  read_any(*this, row, first, count, to);
}

void QuantisedMatrix::read(int64_t row, int64_t first, int64_t count, double* to) const {
  read_any(*this, row, first, count, to);
}

}  // namespace lenswright
