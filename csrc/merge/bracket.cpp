#include "merge/bracket.h"

#include "base/avx512.h"

namespace lenswright {
namespace {

// Without branches: every size is written, and stays where the next one does not take its place.
LENSWRIGHT_PLAIN int64_t sort_all(const Bracket& b, const double* sizes, int64_t n,
                                  Bracket::Counts& counts, double* out) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double size = sizes[i];
    const bool low = size == b.low, middle = !low & (size == b.middle);
    const bool high = !low & !middle & (size == b.high);
    counts.above += size > b.high ? 1 : 0;
    counts.equal[0] += low ? 1 : 0;
    counts.equal[1] += middle ? 1 : 0;
    counts.equal[2] += high ? 1 : 0;
    out[found] = size;
    found += (size > b.low) & (size < b.high) & !middle ? 1 : 0;
  }
  return found;
}

#ifdef LENSWRIGHT_HAS_CLONES
// Eight at a time, those inside packed by the processor.
LENSWRIGHT_V4 int64_t sort_all(const Bracket& b, const double* sizes, int64_t n,
                               Bracket::Counts& counts, double* out) {
  const __m512d low = _mm512_set1_pd(b.low), middle = _mm512_set1_pd(b.middle),
                high = _mm512_set1_pd(b.high);
  const __m512i one = _mm512_set1_epi64(1);
  __m512i above = _mm512_setzero_si512(), equal[3] = {above, above, above};
  int64_t found = 0;
  for (int64_t i = 0; i < n; i += 8) {
    const __mmask8 there = n - i >= 8 ? __mmask8{0xFF} : static_cast<__mmask8>((1u << (n - i)) - 1);
    const __m512d size = _mm512_maskz_loadu_pd(there, sizes + i);
    const __mmask8 at_low = _mm512_mask_cmp_pd_mask(there, size, low, _CMP_EQ_OQ);
    const auto rest = static_cast<__mmask8>(there & ~at_low);
    const __mmask8 at_middle = _mm512_mask_cmp_pd_mask(rest, size, middle, _CMP_EQ_OQ);
    const auto others = static_cast<__mmask8>(rest & ~at_middle);
    const __mmask8 at_high = _mm512_mask_cmp_pd_mask(others, size, high, _CMP_EQ_OQ);
    const __mmask8 beyond = _mm512_mask_cmp_pd_mask(others, size, high, _CMP_GT_OQ);
    const __mmask8 below_high = _mm512_mask_cmp_pd_mask(others, size, high, _CMP_LT_OQ);
    const __mmask8 inside = _mm512_mask_cmp_pd_mask(below_high, size, low, _CMP_GT_OQ);
    _mm512_storeu_pd(out + found, _mm512_maskz_compress_pd(inside, size));
    found += __builtin_popcount(inside);
    above = _mm512_mask_add_epi64(above, beyond, above, one);
    equal[0] = _mm512_mask_add_epi64(equal[0], at_low, equal[0], one);
    equal[1] = _mm512_mask_add_epi64(equal[1], at_middle, equal[1], one);
    equal[2] = _mm512_mask_add_epi64(equal[2], at_high, equal[2], one);
  }
  counts.above += _mm512_reduce_add_epi64(above);
  for (int j = 0; j < 3; ++j) counts.equal[j] += _mm512_reduce_add_epi64(equal[j]);
  return found;
}
#endif

}  // namespace

int64_t Bracket::sort(const double* sizes, int64_t n, Counts& counts, double* out) const {
  return sort_all(*this, sizes, n, counts, out);
}

}  // namespace lenswright
