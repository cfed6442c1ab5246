#pragma once

// For functions written by hand for AVX-512 (LENSWRIGHT_V4), where the compiler makes clones.
#include "base/clones.h"

#ifdef LENSWRIGHT_HAS_CLONES
// GCC 12 takes what its own header leaves undefined on purpose for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif
