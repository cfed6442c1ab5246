#include "base/philox.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <span>

#include "base/avx512.h"
#include "base/sha256.h"

namespace lenswright {
namespace {

uint64_t stream_number(std::string_view name) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(name.data(), name.size())));
  const auto digest = hash.digest();
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | digest[i];
  return number;
}

double unit(uint32_t high, uint32_t low) {
  const uint64_t word = static_cast<uint64_t>(high) << 32 | low;
  return static_cast<double>(word >> 11) * 0x1p-53;
}

constexpr int kSide = 16;  // blocks side by side, so that the loops below become vector code

uint32_t low(uint64_t word) { return static_cast<uint32_t>(word); }
uint32_t high(uint64_t word) { return static_cast<uint32_t>(word >> 32); }

constexpr uint64_t kFirst = 0xD2511F53, kSecond = 0xCD9E8D57;  // multipliers
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;   // added to the key each round

// The words of blocks `block` to `block + kSide`.
LENSWRIGHT_CLONES void in_a_loop(uint64_t block, uint64_t stream, uint64_t seed, uint32_t* out) {
  uint32_t c[4][kSide];
  for (uint64_t i = 0; i < kSide; ++i) {
    c[0][i] = low(block + i);
    c[1][i] = high(block + i);
    c[2][i] = low(stream);
    c[3][i] = high(stream);
  }
  uint32_t key0 = low(seed), key1 = high(seed);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kSide; ++i) {
      const uint64_t a = kFirst * c[0][i];
      const uint64_t b = kSecond * c[2][i];
      c[0][i] = high(b) ^ c[1][i] ^ key0;
      c[1][i] = low(b);
      c[2][i] = high(a) ^ c[3][i] ^ key1;
      c[3][i] = low(a);
    }
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  for (int i = 0; i < kSide; ++i) {
    for (int word = 0; word < 4; ++word) out[4 * i + word] = c[word][i];
  }
}

LENSWRIGHT_PLAIN void side_by_side(uint64_t block, uint64_t stream, uint64_t seed, uint32_t* out) {
  in_a_loop(block, stream, seed, out);
}

#ifdef LENSWRIGHT_HAS_CLONES
struct Product {
  __m512i high, low;
};

// Sixteen products of 32 bits: those of even and odd places apart, put together again.
LENSWRIGHT_V4 inline void multiply(__m512i x, __m512i by, Product& out) {
  constexpr __mmask16 kOdd = 0xAAAA;
  const __m512i even = _mm512_mul_epu32(x, by);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), by);
  out.high = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), kOdd, odd);
  out.low = _mm512_mask_mov_epi32(even, kOdd, _mm512_slli_epi64(odd, 32));
}

LENSWRIGHT_V4 inline __m512i all(uint32_t word) {
  return _mm512_set1_epi32(static_cast<int>(word));
}

// Block after block: c[w] holds word w of all.
LENSWRIGHT_V4 inline void put(const __m512i c[4], uint32_t* out) {
  const __m512i a = _mm512_unpacklo_epi32(c[0], c[1]), b = _mm512_unpackhi_epi32(c[0], c[1]);
  const __m512i d = _mm512_unpacklo_epi32(c[2], c[3]), e = _mm512_unpackhi_epi32(c[2], c[3]);
  // Of every four blocks the first, second, third and fourth.
  const __m512i first = _mm512_unpacklo_epi64(a, d), second = _mm512_unpackhi_epi64(a, d);
  const __m512i third = _mm512_unpacklo_epi64(b, e), fourth = _mm512_unpackhi_epi64(b, e);
  const __m512i p = _mm512_shuffle_i32x4(first, second, 0x44);
  const __m512i q = _mm512_shuffle_i32x4(third, fourth, 0x44);
  const __m512i r = _mm512_shuffle_i32x4(first, second, 0xEE);
  const __m512i s = _mm512_shuffle_i32x4(third, fourth, 0xEE);
  _mm512_storeu_si512(out, _mm512_shuffle_i32x4(p, q, 0x88));
  _mm512_storeu_si512(out + 16, _mm512_shuffle_i32x4(p, q, 0xDD));
  _mm512_storeu_si512(out + 32, _mm512_shuffle_i32x4(r, s, 0x88));
  _mm512_storeu_si512(out + 48, _mm512_shuffle_i32x4(r, s, 0xDD));
}

LENSWRIGHT_V4 void side_by_side(uint64_t block, uint64_t stream, uint64_t seed, uint32_t* out) {
  const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i begin = all(low(block));
  __m512i c[4] = {_mm512_add_epi32(begin, count), all(high(block)), all(low(stream)),
                  all(high(stream))};
  const __mmask16 carried = _mm512_cmplt_epu32_mask(c[0], begin);
  c[1] = _mm512_mask_add_epi32(c[1], carried, c[1], all(1));
  const __m512i by_first = _mm512_set1_epi64(kFirst), by_second = _mm512_set1_epi64(kSecond);
  __m512i key0 = all(low(seed)), key1 = all(high(seed));
  for (int round = 0; round < 10; ++round) {
    Product a, b;
    multiply(c[0], by_first, a);
    multiply(c[2], by_second, b);
    c[0] = _mm512_xor_si512(_mm512_xor_si512(b.high, c[1]), key0);
    c[1] = b.low;
    c[2] = _mm512_xor_si512(_mm512_xor_si512(a.high, c[3]), key1);
    c[3] = a.low;
    key0 = _mm512_add_epi32(key0, all(kWeyl0));
    key1 = _mm512_add_epi32(key1, all(kWeyl1));
  }
  put(c, out);
}
#endif

}  // namespace

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = kFirst * c[0], b = kSecond * c[2];
    c = {high(b) ^ c[1] ^ key[0], low(b), high(a) ^ c[3] ^ key[1], low(a)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return c;
}

Philox::Philox(uint64_t seed, std::string_view stream) : Philox(seed, stream_number(stream)) {}

std::array<uint32_t, 4> Philox::block(uint64_t index) const {
  return philox4x32_10({low(index), high(index), low(stream_), high(stream_)},
                       {low(seed_), high(seed_)});
}

void Philox::words(uint64_t first, int64_t count, uint32_t* out) const {
  constexpr uint64_t kWords = 4 * kSide;
  const uint64_t end = first + static_cast<uint64_t>(count);
  for (uint64_t block = first / 4; block * 4 < end; block += kSide) {
    const uint64_t begin = block * 4;
    if (begin >= first && begin + kWords <= end) {
      side_by_side(block, stream_, seed_, out + (begin - first));
      continue;
    }
    std::array<uint32_t, kWords> words;
    side_by_side(block, stream_, seed_, words.data());
    const uint64_t from = std::max(begin, first), to = std::min(begin + kWords, end);
    std::copy(words.begin() + (from - begin), words.begin() + (to - begin), out + (from - first));
  }
}

double Philox::uniform(uint64_t index) const {
  const auto words = block(index);
  return unit(words[0], words[1]);
}

double Philox::normal(uint64_t index) const {
  const auto words = block(index);
  const double radius = std::sqrt(-2.0 * std::log1p(-unit(words[0], words[1])));
  return radius * std::cos(2.0 * std::numbers::pi * unit(words[2], words[3]));
}

}  // namespace lenswright
