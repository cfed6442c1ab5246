#pragma once

// What the loops of a ThinKernel share. Each kernel's file is compiled for an instruction set of
// its own: everything here is local to the file that includes it, and nothing of the standard
// library is used, as a function that files share may come from the one with the newest set.

#include "nn/thin_kernel.h"

#define LENSWRIGHT_INLINE inline __attribute__((always_inline))

namespace lenswright {
namespace {

struct Bfloat {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

LENSWRIGHT_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

LENSWRIGHT_INLINE int64_t thin_blocks(const ThinWork& work) {
  return (work.rows + kThinBlock - 1) / kThinBlock;
}

/// Sums of R rows with O outputs (or vectors of outputs). Small enough to stay in registers.
template <class Lanes, int R, int O>
struct ThinSums {
  typename Lanes::V of[R][O];

  LENSWRIGHT_INLINE void clear() {
    for (int r = 0; r < R; ++r) {
      for (int o = 0; o < O; ++o) of[r][o] = Lanes::zero();
    }
  }
};

/// Weights of the next tile, called into the cache while this one is computed, evenly, so that
/// neither memory nor arithmetic waits for the other.
template <class Stored>
struct ThinAhead {
  static constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(Stored));

  const Stored* at;
  int64_t stride;  // from one run of neighbours to the next
  int64_t every;   // steps from one call to the next; 0: none

  LENSWRIGHT_INLINE void call(const Stored* run, int64_t count) const {
    for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(run + i, 0, 2);
  }
};

}  // namespace
}  // namespace lenswright
