#pragma once

#include <utility>

#include "nn/thin_loops.h"

namespace lenswright {
namespace {

/// Inputs of a packed row of x are filled up with zeros to a multiple of this.
inline constexpr int64_t kPanelStep = 8;

LENSWRIGHT_INLINE int64_t panel_filled(int64_t inputs) {
  return (inputs + kPanelStep - 1) / kPanelStep * kPanelStep;
}

/// Inputs of some rows as [step][row][kPanelStep].
LENSWRIGHT_INLINE void pack_panel_rows(const float* x, int64_t stride, int64_t rows, int64_t inputs,
                                       float* to) {
  for (int64_t start = 0; start < inputs; start += kPanelStep) {
    const int64_t count = smaller(kPanelStep, inputs - start);
    for (int64_t row = 0; row < rows; ++row, to += kPanelStep) {
      const float* from = x + row * stride + start;
      if (count == kPanelStep) {
        __builtin_memcpy(to, from, kPanelStep * sizeof(float));
        continue;
      }
      for (int64_t i = 0; i < count; ++i) to[i] = from[i];
      for (int64_t i = count; i < kPanelStep; ++i) to[i] = 0.0f;
    }
  }
}

/// A part of a weight, so many outputs by inputs, as [inputs][kWidth] in float32: zeros where it
/// has fewer outputs than kWidth, and behind its inputs up to a multiple of a vector and a step.
template <class Lanes, class Stored, int kVectors>
struct PanelPacking {
  using V = typename Lanes::V;
  static constexpr int kLanes = Lanes::kLanes, kWidth = kVectors * kLanes;
  static constexpr int64_t kWhole = kLanes > kPanelStep ? kLanes : kPanelStep;

  static int64_t whole(int64_t inputs) { return (inputs + kWhole - 1) / kWhole * kWhole; }

  // a0 b0 a1 b1 … of the lower or of the upper halves.
  template <int kUpper, int... I>
  static LENSWRIGHT_INLINE V shuffled(V a, V b, std::integer_sequence<int, I...>) {
    constexpr int n = kLanes;
    return __builtin_shufflevector(a, b, (kUpper * n / 2 + I / 2 + (I % 2) * n)...);
  }

  // kLanes vectors as the rows of a square, transposed: after each turn number i of row r stands
  // where the digits of (r, i) have moved on by one.
  static LENSWRIGHT_INLINE void turn(V (&rows)[kLanes]) {
    constexpr std::make_integer_sequence<int, kLanes> lanes;
#pragma GCC unroll 4
    for (int size = 1; size < kLanes; size *= 2) {
      V next[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes / 2; ++i) {
        next[2 * i] = shuffled<0>(rows[i], rows[i + kLanes / 2], lanes);
        next[2 * i + 1] = shuffled<1>(rows[i], rows[i + kLanes / 2], lanes);
      }
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
    }
  }

  // A square of a weight whose inputs are neighbours.
  static LENSWRIGHT_INLINE void square(const Stored* w, int64_t stride, float* to) {
    V rows[kLanes];
#pragma GCC unroll 16
    for (int o = 0; o < kLanes; ++o) rows[o] = Lanes::load(w + o * stride);
    turn(rows);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) Lanes::store(to + i * kWidth, rows[i]);
  }

  // The same of fewer outputs or inputs than a square has.
  static void part_of_square(const Stored* w, int64_t stride, int64_t outputs, int64_t inputs,
                             float* to) {
    Stored rest[kLanes * kLanes] = {};
    for (int64_t o = 0; o < outputs; ++o) {
      for (int64_t i = 0; i < inputs; ++i) rest[o * kLanes + i] = w[o * stride + i];
    }
    square(rest, kLanes, to);
  }

  static void by_rows(const Stored* w, int64_t stride, int64_t outputs, int64_t inputs, float* to) {
    for (int v = 0; v < kVectors; ++v, w += kLanes * stride, outputs -= kLanes, to += kLanes) {
      const int64_t count = outputs < 0 ? 0 : smaller(outputs, kLanes);
      int64_t k = 0;
      for (; count == kLanes && k + kLanes <= inputs; k += kLanes) {
        square(w + k, stride, to + k * kWidth);
      }
      for (; k < whole(inputs); k += kLanes) {
        part_of_square(w + k, stride, count, smaller(kLanes, inputs - k), to + k * kWidth);
      }
    }
  }

  static void by_columns(const Stored* w, int64_t stride, int64_t outputs, int64_t inputs,
                         float* to) {
    for (int64_t k = 0; k < whole(inputs); ++k, w += stride, to += kWidth) {
      const int64_t count = k < inputs ? outputs : 0;
      int64_t o = 0;
      for (; o + kLanes <= count; o += kLanes) Lanes::store(to + o, Lanes::load(w + o));
      for (; o < count; ++o) to[o] = Lanes::one(w[o]);
      for (; o < kWidth; ++o) to[o] = 0.0f;
    }
  }
};

}  // namespace
}  // namespace lenswright
