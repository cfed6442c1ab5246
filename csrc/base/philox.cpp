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
LENSWRIGHT_V4 inline __m512i all(uint64_t word) {
  return _mm512_set1_epi64(static_cast<int64_t>(word));
}

// Eight blocks, a word of each in 64 bits, of which the products see the lower half alone: what is
// left in the upper one costs nothing to keep, and the lower half of a product nothing to take.
struct Eight {
  __m512i c[4];
};

LENSWRIGHT_V4 inline void begin_at(uint64_t block, uint64_t stream, Eight& x) {
  const __m512i count = _mm512_add_epi64(all(block), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
  x.c[0] = count;
  x.c[1] = _mm512_srli_epi64(count, 32);
  x.c[2] = all(stream);
  x.c[3] = all(high(stream));
}

LENSWRIGHT_V4 inline void round_of(__m512i key0, __m512i key1, Eight& x) {
  constexpr int kXor = 0x96;  // of three
  const __m512i a = _mm512_mul_epu32(x.c[0], all(kFirst));
  const __m512i b = _mm512_mul_epu32(x.c[2], all(kSecond));
  x.c[0] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(b, 32), x.c[1], key0, kXor);
  x.c[2] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(a, 32), x.c[3], key1, kXor);
  x.c[1] = b;
  x.c[3] = a;
}

LENSWRIGHT_V4 inline __m512i pair(__m512i low_word, __m512i high_word) {
  return _mm512_mask_mov_epi32(low_word, 0xAAAA, _mm512_slli_epi64(high_word, 32));
}

// Block after block.
LENSWRIGHT_V4 inline void put(const Eight& x, uint32_t* out) {
  const __m512i first = pair(x.c[0], x.c[1]), second = pair(x.c[2], x.c[3]);
  const __m512i low_four = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i high_four = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  _mm512_storeu_si512(out, _mm512_permutex2var_epi64(first, low_four, second));
  _mm512_storeu_si512(out + 16, _mm512_permutex2var_epi64(first, high_four, second));
}

LENSWRIGHT_V4 void side_by_side(uint64_t block, uint64_t stream, uint64_t seed, uint32_t* out) {
  Eight x, y;
  begin_at(block, stream, x);
  begin_at(block + 8, stream, y);
  uint32_t key0 = low(seed), key1 = high(seed);
  for (int round = 0; round < 10; ++round) {
    const __m512i first = all(key0), second = all(key1);
    round_of(first, second, x);
    round_of(first, second, y);
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  put(x, out);
  put(y, out + 32);
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
