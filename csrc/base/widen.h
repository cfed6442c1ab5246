#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace lenswright {

/// Reads `count` elements of a real floating-point type of 8 bits or more (is_float and
/// element_bytes > 0) from any address, unaligned ones included, into doubles. Exact.
void widen(Dtype dtype, const std::byte* from, int64_t count, double* to);

/// True when widen knows the type.
bool can_widen(Dtype dtype);

}  // namespace lenswright
