#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lenswright {

/// Folds `count` blocks of 64 bytes into the state, with the processor's SHA instructions where it
/// has them.
void sha256_blocks(std::array<uint32_t, 8>& state, const uint8_t* blocks, size_t count);

/// The portable way, for the test that compares both.
void sha256_blocks_portable(std::array<uint32_t, 8>& state, const uint8_t* blocks, size_t count);

}  // namespace lenswright
