#include "base/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/sha256_block.h"

namespace lenswright {

Sha256::Sha256()
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {}

void Sha256::update(std::span<const std::byte> bytes) {
  const auto* from = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t left = bytes.size();
  const size_t held = total_ % 64;
  total_ += left;
  if (held != 0) {
    const size_t taken = std::min(left, 64 - held);
    std::memcpy(buffer_.data() + held, from, taken);
    if (held + taken < 64) return;
    sha256_blocks(state_, buffer_.data(), 1);
    from += taken;
    left -= taken;
  }
  sha256_blocks(state_, from, left / 64);
  if (left % 64 != 0) std::memcpy(buffer_.data(), from + left / 64 * 64, left % 64);
}

std::array<uint8_t, 32> Sha256::digest() const {
  auto state = state_;
  std::array<uint8_t, 128> tail{};
  const size_t held = total_ % 64;
  std::memcpy(tail.data(), buffer_.data(), held);
  tail[held] = 0x80;
  const size_t length = held < 56 ? 64 : 128;
  for (int i = 0; i < 8; ++i) {
    tail[length - 1 - i] = static_cast<uint8_t>(total_ * 8 >> (8 * i));
  }
  sha256_blocks(state, tail.data(), length / 64);
  std::array<uint8_t, 32> out;
  for (size_t i = 0; i < 32; ++i) out[i] = static_cast<uint8_t>(state[i / 4] >> (24 - i % 4 * 8));
  return out;
}

std::string Sha256::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : digest()) out.append({kDigits[byte >> 4], kDigits[byte & 15]});
  return out;
}

std::string Sha256::hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

}  // namespace lenswright
