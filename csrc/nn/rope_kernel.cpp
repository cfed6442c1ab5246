#include "nn/rope_kernel.h"

#include "base/clones.h"

namespace lenswright {
namespace {

// kRead, kWrite: how far apart the numbers of neighbouring pairs lie; 1 where firsts and seconds
// are apart, 2 where they take turns.
template <int kRead, int kWrite, typename T>
inline __attribute__((always_inline)) void turn(const TurnedHeads<T>& work) {
  const int64_t half = work.half;
  for (int64_t head = 0; head < work.heads; ++head) {
    const T* __restrict first = work.x + head * work.x_stride;
    const T* __restrict second = first + (kRead == 1 ? half : 1);
    T* __restrict a = work.y + head * work.y_stride;
    T* __restrict b = a + (kWrite == 1 ? half : 1);
    for (int64_t i = 0; i < half; ++i) {
      const T x = first[kRead * i], y = second[kRead * i];
      a[kWrite * i] = x * work.cos[i] - y * work.sin[i];
      b[kWrite * i] = y * work.cos[i] + x * work.sin[i];
    }
  }
}

template <typename T>
inline __attribute__((always_inline)) void by_layout(const TurnedHeads<T>& work,
                                                     RopeLayout layout) {
  switch (layout) {
    case RopeLayout::half:
      return turn<1, 1>(work);
    case RopeLayout::adjacent:
      return turn<2, 2>(work);
    case RopeLayout::adjacent_apart:
      return turn<2, 1>(work);
  }
}

}  // namespace

LENSWRIGHT_CLONES void turn_heads(const TurnedHeads<float>& work, RopeLayout layout) {
  by_layout(work, layout);
}

LENSWRIGHT_CLONES void turn_heads(const TurnedHeads<double>& work, RopeLayout layout) {
  by_layout(work, layout);
}

}  // namespace lenswright
