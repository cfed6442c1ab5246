#pragma once

#include "nn/thin_loops.h"

namespace lenswright {
namespace {

/// The loops for weights whose inputs are neighbours: vectors along the inputs, summed up at the
/// end.
template <class Lanes, class Stored>
struct ThinRows {
  using V = typename Lanes::V;
  template <int R, int O>
  using Sums = ThinSums<Lanes, R, O>;
  using Ahead = ThinAhead<Stored>;
  static constexpr int64_t kLanes = Lanes::kLanes, kStep = 2 * kLanes, kOutputs = Lanes::kOutputs;

  // [step][row][kStep], zeros after the last input.
  static void pack(const float* x, int64_t inputs, int64_t rows, float* to) {
    for (int64_t start = 0; start < inputs; start += kStep) {
      const int64_t count = smaller(kStep, inputs - start);
      for (int64_t row = 0; row < rows; ++row, to += kStep) {
        const float* from = x + row * inputs + start;
        for (int64_t i = 0; i < count; ++i) to[i] = from[i];
        for (int64_t i = count; i < kStep; ++i) to[i] = 0.0f;
      }
    }
  }

  template <int R, int O>
  static LENSWRIGHT_INLINE void add_step(const float* x, const Stored* w, int64_t stride,
                                         Sums<R, O>& sums) {
#pragma GCC unroll 2
    for (int64_t half = 0; half < kStep; half += kLanes) {
      V a[O];
#pragma GCC unroll 8
      for (int o = 0; o < O; ++o) a[o] = Lanes::load(w + o * stride + half);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const V v = Lanes::load(x + r * kStep + half);
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) sums.of[r][o] = Lanes::fma(a[o], v, sums.of[r][o]);
      }
    }
  }

  // The same where fewer inputs than a step are left.
  template <int R, int O>
  static LENSWRIGHT_INLINE void add_rest(const float* x, const Stored* w, int64_t stride,
                                         int64_t count, Sums<R, O>& sums) {
    Stored rest[O * kStep] = {};
    for (int64_t i = 0; i < count; ++i) {
      for (int o = 0; o < O; ++o) rest[o * kStep + i] = w[o * stride + i];
    }
    add_step<R, O>(x, rest, kStep, sums);
  }

  template <int R, int O>
  static LENSWRIGHT_INLINE void tile(const ThinWork& t, int64_t row, int64_t output, Ahead ahead) {
    const float* x = t.x + row * ((t.inputs + kStep - 1) / kStep * kStep);
    const Stored* w = static_cast<const Stored*>(t.weight) + output * t.stride;
    Sums<R, O> sums;
    sums.clear();
    int64_t k = 0, wait = ahead.every;
    for (; k + kStep <= t.inputs; k += kStep) {
      if (--wait == 0) {
        wait = ahead.every;
        for (int o = 0; o < O; ++o) ahead.call(ahead.at + o * ahead.stride, kStep);
        ahead.at += kStep;
      }
      add_step<R, O>(x + k * R, w + k, t.stride, sums);
    }
    if (k < t.inputs) add_rest<R, O>(x + k * R, w + k, t.stride, t.inputs - k, sums);
    for (int o = 0; o < O; ++o) {
      const auto vector = [&](int r) { return sums.of[r < R ? r : 0][o]; };
      const float bias = t.bias ? t.bias[output + o] : 0.0f;
      float totals[4];
      Lanes::sum4(vector(0), vector(1), vector(2), vector(3), totals);
      for (int r = 0; r < R; ++r) t.y[(row + r) * t.outputs + output + o] = totals[r] + bias;
    }
  }

  template <int O>
  static void block(const ThinWork& t, int64_t row, int64_t output, const Ahead& ahead) {
    switch (smaller(kThinBlock, t.rows - row)) {
      case 1:
        return tile<1, O>(t, row, output, ahead);
      case 2:
        return tile<2, O>(t, row, output, ahead);
      case 3:
        return tile<3, O>(t, row, output, ahead);
      default:
        return tile<4, O>(t, row, output, ahead);
    }
  }

  static void run(const ThinWork& t, int64_t first, int64_t last) {
    const int64_t blocks = thin_blocks(t), steps = t.inputs / kStep;
    int64_t output = first;
    for (; output + kOutputs <= last; output += kOutputs) {
      const Stored* next = static_cast<const Stored*>(t.weight) + (output + kOutputs) * t.stride;
      const int64_t every = output + kOutputs < last ? blocks : 0;
      for (int64_t i = 0; i < blocks; ++i) {  // each calls its share of the inputs
        block<kOutputs>(t, i * kThinBlock, output,
                        {next + steps * i / blocks * kStep, t.stride, every});
      }
    }
    for (; output < last; ++output) {
      for (int64_t i = 0; i < blocks; ++i) block<1>(t, i * kThinBlock, output, {nullptr, 0, 0});
    }
  }
};

}  // namespace
}  // namespace lenswright
