#include "base/philox.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <span>

#include "base/clones.h"
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

struct Blocks {
  uint32_t c[4][kSide];
};

LENSWRIGHT_CLONES void ten_rounds(Blocks& blocks, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kSide; ++i) {
      const uint64_t a = uint64_t{0xD2511F53} * blocks.c[0][i];
      const uint64_t b = uint64_t{0xCD9E8D57} * blocks.c[2][i];
      blocks.c[0][i] = static_cast<uint32_t>(b >> 32) ^ blocks.c[1][i] ^ key0;
      blocks.c[1][i] = static_cast<uint32_t>(b);
      blocks.c[2][i] = static_cast<uint32_t>(a >> 32) ^ blocks.c[3][i] ^ key1;
      blocks.c[3][i] = static_cast<uint32_t>(a);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

}  // namespace

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return c;
}

Philox::Philox(uint64_t seed, std::string_view stream) : Philox(seed, stream_number(stream)) {}

std::array<uint32_t, 4> Philox::block(uint64_t index) const {
  const auto low = [](uint64_t word) { return static_cast<uint32_t>(word); };
  const auto high = [](uint64_t word) { return static_cast<uint32_t>(word >> 32); };
  return philox4x32_10({low(index), high(index), low(stream_), high(stream_)},
                       {low(seed_), high(seed_)});
}

void Philox::words(uint64_t first, int64_t count, uint32_t* out) const {
  const uint64_t end = first + static_cast<uint64_t>(count);
  const auto low = [](uint64_t word) { return static_cast<uint32_t>(word); };
  const auto high = [](uint64_t word) { return static_cast<uint32_t>(word >> 32); };
  for (uint64_t block = first / 4; block * 4 < end; block += kSide) {
    Blocks blocks;
    for (uint64_t i = 0; i < kSide; ++i) {
      const std::array<uint32_t, 4> counter = {low(block + i), high(block + i), low(stream_),
                                               high(stream_)};
      for (int word = 0; word < 4; ++word) blocks.c[word][i] = counter[word];
    }
    ten_rounds(blocks, low(seed_), high(seed_));
    const uint64_t begin = block * 4;
    if (begin >= first && begin + 4 * kSide <= end) {
      uint32_t* to = out + (begin - first);
      for (int i = 0; i < kSide; ++i) {
        for (int word = 0; word < 4; ++word) to[4 * i + word] = blocks.c[word][i];
      }
      continue;
    }
    for (uint64_t at = std::max(begin, first); at < std::min(begin + 4 * kSide, end); ++at) {
      out[at - first] = blocks.c[(at - begin) % 4][(at - begin) / 4];
    }
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
