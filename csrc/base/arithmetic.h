#pragma once

#include <cstdint>

namespace lenswright {

// The functions a network may be made of: said by `spec`, computed by `nn`.

enum class NormKind : uint8_t { layer, rms };
enum class RopeLayout : uint8_t { half, adjacent };  // which two numbers make one rotated pair
enum class Activation : uint8_t { relu, gelu, gelu_tanh, silu };

}  // namespace lenswright
