#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lenswright {

/// Counter-based random numbers (Philox4x32-10; Salmon et al., SC 2011): the value at an index
/// depends on (seed, stream, index) alone, never on the order of calls or the number of threads.
class Philox {
 public:
  Philox(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  /// A stream named by text, such as a tensor's name.
  Philox(uint64_t seed, std::string_view stream);

  /// The four words of the block at `index`.
  std::array<uint32_t, 4> block(uint64_t index) const;

  uint32_t word(uint64_t index) const { return block(index)[0]; }
  /// Words `first` to `first + count` of all blocks one after the other: word i is the (i mod 4)-th
  /// of block i / 4. Much quicker than one by one.
  void words(uint64_t first, int64_t count, uint32_t* out) const;
  /// Uniform in [0, 1) with 53 bits.
  double uniform(uint64_t index) const;
  /// Standard normal (Box-Muller on the block at `index`).
  double normal(uint64_t index) const;

 private:
  uint64_t seed_;
  uint64_t stream_;
};

/// The generator itself, for known-answer tests.
std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

}  // namespace lenswright
