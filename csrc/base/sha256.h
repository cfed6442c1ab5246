#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace lenswright {

/// SHA-256 of a stream of bytes.
class Sha256 {
 public:
  Sha256();

  void update(std::span<const std::byte> bytes);

  /// The digest of what was given so far; the object stays usable.
  std::array<uint8_t, 32> digest() const;
  std::string hex() const;

  static std::string hex(std::span<const std::byte> bytes);

 private:
  std::array<uint32_t, 8> state_;
  std::array<uint8_t, 64> buffer_{};
  uint64_t total_ = 0;
};

}  // namespace lenswright
