#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace lenswright {

/// Writes `count` doubles as F64, F32, BF16 or F16 to any address, unaligned ones included: each is
/// rounded once, to nearest, ties to even; subnormal numbers are kept, overflow is infinity, every
/// NaN becomes the quiet one of its sign.
void narrow(Dtype dtype, const double* from, int64_t count, std::byte* to);

/// True when narrow knows the type.
bool can_narrow(Dtype dtype);

}  // namespace lenswright
