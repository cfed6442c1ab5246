// Compiled for AVX-512 (F, BW, DQ, VL) where the compiler has it.
#include "nn/panel_loops.h"
#include "nn/thin_lists.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

// GCC 12 takes what its own header leaves undefined on purpose for a mistake.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

namespace lenswright {
namespace {

struct Avx512 {
  using V = __m512;
  static constexpr int64_t kLanes = 16, kOutputs = 5;       // 4 rows: 20 sums in 32 registers
  static constexpr int kPanelRows = 14, kPanelVectors = 2;  // 28 sums in 32 registers

  static LENSWRIGHT_INLINE V zero() { return _mm512_setzero_ps(); }
  static LENSWRIGHT_INLINE V all(float x) { return _mm512_set1_ps(x); }
  static LENSWRIGHT_INLINE V add(V a, V b) { return _mm512_add_ps(a, b); }
  static LENSWRIGHT_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static LENSWRIGHT_INLINE void store(float* p, V v) { _mm512_storeu_ps(p, v); }

  static LENSWRIGHT_INLINE V load(const float* p) { return _mm512_loadu_ps(p); }
  static LENSWRIGHT_INLINE V load(const Bfloat* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(sixteen(p)), 16));
  }
  static LENSWRIGHT_INLINE V load(const Half* p) { return _mm512_cvtph_ps(sixteen(p)); }

  // The sums of four vectors.
  static LENSWRIGHT_INLINE void sum4(V a, V b, V c, V d, float* sums) {
    const __m256 all =
        _mm256_hadd_ps(_mm256_hadd_ps(folded(a), folded(b)), _mm256_hadd_ps(folded(c), folded(d)));
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
  }

  static LENSWRIGHT_INLINE float one(float w) { return w; }
  static LENSWRIGHT_INLINE float one(Bfloat w) {
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(w.bits << 16)));
  }
  static LENSWRIGHT_INLINE float one(Half w) { return _cvtsh_ss(w.bits); }

 private:
  static LENSWRIGHT_INLINE __m256i sixteen(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static LENSWRIGHT_INLINE __m256 folded(V v) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  }
};

constexpr ThinKernel kKernel = make_thin_kernel<Avx512>();
constexpr PanelKernel kPanels = make_panel_kernel<Avx512>();

}  // namespace

const ThinKernel* thin_kernel_avx512() { return &kKernel; }
const PanelKernel* panel_kernel_avx512() { return &kPanels; }

}  // namespace lenswright

#else

namespace lenswright {
const ThinKernel* thin_kernel_avx512() { return nullptr; }
const PanelKernel* panel_kernel_avx512() { return nullptr; }
}  // namespace lenswright

#endif
