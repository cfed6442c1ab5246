#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lenswright {

/// How probable a bit is, learnt from those before it: the first few count most.
class BitModel {
 public:
  BitModel() = default;
  /// Of a bit that is mostly 0.
  static BitModel mostly_zero() { return {kOne - (kOne >> 9), 15}; }

  /// Probability of 0, in 1/65536.
  uint32_t zero() const { return std::clamp(zero_ >> 6, kLeast, 65536 - kLeast); }
  void learn(bool bit) {
    const int shift = std::min(kSlowest, static_cast<int>(std::bit_width(seen_ + 1u)));
    bit ? zero_ -= zero_ >> shift : zero_ += (kOne - zero_) >> shift;
    if (seen_ < 255) ++seen_;
  }

 private:
  static constexpr uint32_t kOne = 1u << 22, kLeast = 8;
  static constexpr int kSlowest = 7;
  BitModel(uint32_t zero, uint8_t seen) : zero_(zero), seen_(seen) {}

  uint32_t zero_ = kOne / 2;
  uint8_t seen_ = 0;
};

/// Arithmetic coding of bits by their probabilities (G. N. N. Martin, "Range encoding", 1979), with
/// carries. bit() and raw() are spelt as the decoder's, so that one function describes both ways.
class RangeEncoder {
 public:
  bool bit(BitModel& model, bool value);
  /// `count` bits, 0 to 63, of which nothing is known.
  uint64_t raw(uint64_t value, int count);
  /// What was coded. Nothing may follow.
  std::vector<std::byte> finish();

 private:
  void shift();

  std::vector<std::byte> bytes_;
  uint64_t low_ = 0;
  uint64_t pending_ = 0;  // bytes of ones that a carry may still turn over
  uint32_t range_ = ~0u;
  uint8_t held_ = 0;  // the byte before them
  bool first_ = true;
};

/// The other way. Whatever the bytes are it stays within them: past their end it reads zeros.
class RangeDecoder {
 public:
  explicit RangeDecoder(std::span<const std::byte> bytes);
  bool bit(BitModel& model, bool ignored = false);
  uint64_t raw(uint64_t ignored, int count);

 private:
  uint32_t next() { return at_ < bytes_.size() ? static_cast<uint32_t>(bytes_[at_++]) : 0; }
  void normalise();

  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  uint32_t range_ = ~0u, code_ = 0;
};

}  // namespace lenswright
