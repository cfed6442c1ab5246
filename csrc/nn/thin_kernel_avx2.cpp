// Compiled for AVX2, FMA and F16C where the compiler has them.
#include "nn/panel_loops.h"
#include "nn/thin_lists.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>

namespace lenswright {
namespace {

struct Avx2 {
  using V = __m256;
  static constexpr int64_t kLanes = 8, kOutputs = 3;       // 4 rows: 12 sums in 16 registers
  static constexpr int kPanelRows = 6, kPanelVectors = 2;  // 12 sums in 16 registers

  static LENSWRIGHT_INLINE V zero() { return _mm256_setzero_ps(); }
  static LENSWRIGHT_INLINE V all(float x) { return _mm256_set1_ps(x); }
  static LENSWRIGHT_INLINE V add(V a, V b) { return _mm256_add_ps(a, b); }
  static LENSWRIGHT_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static LENSWRIGHT_INLINE void store(float* p, V v) { _mm256_storeu_ps(p, v); }

  static LENSWRIGHT_INLINE V load(const float* p) { return _mm256_loadu_ps(p); }
  static LENSWRIGHT_INLINE V load(const Bfloat* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(sixteen(p)), 16));
  }
  static LENSWRIGHT_INLINE V load(const Half* p) { return _mm256_cvtph_ps(sixteen(p)); }

  // The sums of four vectors.
  static LENSWRIGHT_INLINE void sum4(V a, V b, V c, V d, float* sums) {
    const V all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
  }

  static LENSWRIGHT_INLINE float one(float w) { return w; }
  static LENSWRIGHT_INLINE float one(Bfloat w) {
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(w.bits << 16)));
  }
  static LENSWRIGHT_INLINE float one(Half w) { return _cvtsh_ss(w.bits); }

 private:
  static LENSWRIGHT_INLINE __m128i sixteen(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }
};

constexpr ThinKernel kKernel = make_thin_kernel<Avx2>();
constexpr PanelKernel kPanels = make_panel_kernel<Avx2>();

}  // namespace

const ThinKernel* thin_kernel_avx2() { return &kKernel; }
const PanelKernel* panel_kernel_avx2() { return &kPanels; }

}  // namespace lenswright

#else

namespace lenswright {
const ThinKernel* thin_kernel_avx2() { return nullptr; }
const PanelKernel* panel_kernel_avx2() { return nullptr; }
}  // namespace lenswright

#endif
