#include "base/range_coder.h"

namespace lenswright {
namespace {

constexpr uint32_t kNarrow = 1u << 24;  // below it the range is widened by a byte

}  // namespace

bool RangeEncoder::bit(BitModel& model, bool value) {
  const uint32_t bound = (range_ >> 16) * model.zero();
  if (value) {
    low_ += bound;
    range_ -= bound;
  } else {
    range_ = bound;
  }
  model.learn(value);
  for (; range_ < kNarrow; range_ <<= 8) shift();
  return value;
}

uint64_t RangeEncoder::raw(uint64_t value, int count) {
  for (int i = count - 1; i >= 0; --i) {
    range_ >>= 1;
    if (value >> i & 1) low_ += range_;
    for (; range_ < kNarrow; range_ <<= 8) shift();
  }
  return value;
}

void RangeEncoder::shift() {
  const bool carry = low_ >> 32 != 0;
  if (carry || low_ < 0xFF000000) {
    if (!first_) bytes_.push_back(static_cast<std::byte>(held_ + (carry ? 1 : 0)));
    for (; pending_ > 0; --pending_) bytes_.push_back(static_cast<std::byte>(carry ? 0 : 0xFF));
    held_ = static_cast<uint8_t>(low_ >> 24);
    first_ = false;
  } else {
    ++pending_;
  }
  low_ = (low_ & 0x00FFFFFF) << 8;
}

std::vector<std::byte> RangeEncoder::finish() {
  for (int i = 0; i < 5; ++i) shift();
  while (!bytes_.empty() && bytes_.back() == std::byte{0}) bytes_.pop_back();
  return std::move(bytes_);
}

RangeDecoder::RangeDecoder(std::span<const std::byte> bytes) : bytes_(bytes) {
  for (int i = 0; i < 4; ++i) code_ = code_ << 8 | next();
}

void RangeDecoder::normalise() {
  for (; range_ < kNarrow; range_ <<= 8) code_ = code_ << 8 | next();
}

bool RangeDecoder::bit(BitModel& model, bool /*ignored*/) {
  const uint32_t bound = (range_ >> 16) * model.zero();
  const bool value = code_ >= bound;
  if (value) {
    code_ -= bound;
    range_ -= bound;
  } else {
    range_ = bound;
  }
  model.learn(value);
  normalise();
  return value;
}

uint64_t RangeDecoder::raw(uint64_t /*ignored*/, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) {
    range_ >>= 1;
    const bool one = code_ >= range_;
    if (one) code_ -= range_;
    value = value << 1 | (one ? 1 : 0);
    normalise();
  }
  return value;
}

}  // namespace lenswright
