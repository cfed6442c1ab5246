#include <bit>

#include "nn/panel_loops.h"
#include "nn/thin_lists.h"

namespace lenswright {
namespace {

// Vectors of four, which GCC and Clang make of whatever the processor has.
struct Plain {
  using V = float __attribute__((vector_size(16)));
  static constexpr int64_t kLanes = 4, kOutputs = 2;
  static constexpr int kPanelRows = 4, kPanelVectors = 2;

  static LENSWRIGHT_INLINE V zero() { return V{}; }
  static LENSWRIGHT_INLINE V all(float x) { return V{x, x, x, x}; }
  static LENSWRIGHT_INLINE V add(V a, V b) { return a + b; }
  static LENSWRIGHT_INLINE V fma(V a, V b, V c) { return a * b + c; }
  static LENSWRIGHT_INLINE void store(float* p, V v) { __builtin_memcpy(p, &v, sizeof v); }

  static LENSWRIGHT_INLINE V load(const float* p) {
    V v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  template <class Stored>
  static LENSWRIGHT_INLINE V load(const Stored* p) {
    return V{one(p[0]), one(p[1]), one(p[2]), one(p[3])};
  }

  static LENSWRIGHT_INLINE void sum4(V a, V b, V c, V d, float* sums) {
    const V all[4] = {a, b, c, d};
    for (int i = 0; i < 4; ++i) sums[i] = (all[i][0] + all[i][1]) + (all[i][2] + all[i][3]);
  }

  static LENSWRIGHT_INLINE float one(float w) { return w; }
  static LENSWRIGHT_INLINE float one(Bfloat w) {
    return std::bit_cast<float>(uint32_t{w.bits} << 16);
  }
  // Shift the fields into place and rescale by a product, which is exact and turns subnormal
  // numbers into normal ones.
  static LENSWRIGHT_INLINE float one(Half w) {
    const uint32_t magnitude = uint32_t{w.bits} << 13 & 0x0FFFE000u;
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
    const uint32_t special = (w.bits & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
    const uint32_t sign = uint32_t{w.bits & 0x8000u} << 16;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | special | sign);
  }
};

constexpr ThinKernel kKernel = make_thin_kernel<Plain>();
constexpr PanelKernel kPanels = make_panel_kernel<Plain>();

}  // namespace

const ThinKernel& thin_kernel_plain() { return kKernel; }
const PanelKernel& panel_kernel_plain() { return kPanels; }

}  // namespace lenswright
