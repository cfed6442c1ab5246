#pragma once

#include "nn/thin_loops.h"

namespace lenswright {
namespace {

/// The loops for weights whose outputs are neighbours: vectors along the outputs. kInputs products
/// are summed in registers, then added to y.
template <class Lanes, class Stored>
struct ThinColumns {
  using V = typename Lanes::V;
  using Ahead = ThinAhead<Stored>;
  static constexpr int64_t kLanes = Lanes::kLanes, kOutputs = Lanes::kOutputs, kInputs = 32;

  /// Inputs k to k + count, of which `w` are the weights for the tile's first output.
  struct Inputs {
    int64_t k, count;
  };

  template <int R, int O, class Weight>
  static LENSWRIGHT_INLINE void tile(const ThinWork& t, int64_t row, int64_t output, Inputs inputs,
                                     const Weight* w, int64_t stride, Ahead ahead) {
    const float* x = t.x + row * t.inputs + inputs.k;
    ThinSums<Lanes, R, O> sums;
    sums.clear();
    int64_t wait = ahead.every;
    for (int64_t i = 0; i < inputs.count; ++i) {
      if (--wait == 0) {
        wait = ahead.every;
        ahead.call(ahead.at, O * kLanes);
        ahead.at += ahead.stride;
      }
      V a[O];
#pragma GCC unroll 20
      for (int o = 0; o < O; ++o) a[o] = Lanes::load(w + i * stride + o * kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const V v = Lanes::all(x[r * t.inputs + i]);
#pragma GCC unroll 20
        for (int o = 0; o < O; ++o) sums.of[r][o] = Lanes::fma(a[o], v, sums.of[r][o]);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int o = 0; o < O; ++o) {
        float* y = t.y + (row + r) * t.outputs + output + o * kLanes;
        const V before = inputs.k > 0 ? Lanes::load(y) : Lanes::zero();
        Lanes::store(y, Lanes::add(before, sums.of[r][o]));
      }
    }
  }

  template <int O, class Weight>
  static void block(const ThinWork& t, int64_t row, int64_t output, Inputs inputs, const Weight* w,
                    int64_t stride, const Ahead& ahead) {
    switch (smaller(kThinBlock, t.rows - row)) {
      case 1:
        return tile<1, O>(t, row, output, inputs, w, stride, ahead);
      case 2:
        return tile<2, O>(t, row, output, inputs, w, stride, ahead);
      case 3:
        return tile<3, O>(t, row, output, inputs, w, stride, ahead);
      default:
        return tile<4, O>(t, row, output, inputs, w, stride, ahead);
    }
  }

  static const Stored* weights(const ThinWork& t, Inputs inputs, int64_t output) {
    return static_cast<const Stored*>(t.weight) + inputs.k * t.stride + output;
  }

  // The weights that follow, in runs of which `blocks` blocks call one a turn.
  static Ahead following(const ThinWork& t, Inputs inputs, const Stored* w, int64_t block,
                         int64_t blocks) {
    const int64_t start = inputs.count + inputs.count * block / blocks;
    return {w + start * t.stride, t.stride, inputs.k + inputs.count < t.inputs ? blocks : 0};
  }

  template <int O>
  static void group(const ThinWork& t, int64_t output, Inputs inputs) {
    const Stored* w = weights(t, inputs, output);
    const int64_t blocks = thin_blocks(t);
    if (blocks == 1) {
      return block<O>(t, 0, output, inputs, w, t.stride, following(t, inputs, w, 0, 1));
    }
    // Runs of weights often lie a multiple of 4 KB apart, where a cache keeps a few of them only:
    // several blocks read them from a place of their own, widened once.
    constexpr int64_t kWidth = O * kLanes;
    alignas(64) float wide[kInputs * kWidth];
    for (int64_t i = 0; i < inputs.count; ++i) {
      for (int o = 0; o < O; ++o) {
        Lanes::store(wide + i * kWidth + o * kLanes, Lanes::load(w + i * t.stride + o * kLanes));
      }
    }
    for (int64_t i = 0; i < blocks; ++i) {
      block<O>(t, i * kThinBlock, output, inputs, wide, kWidth, following(t, inputs, w, i, blocks));
    }
  }

  // A column that fills no vector: one of the weight's last, whoever computes it.
  static void rest(const ThinWork& t, int64_t output, Inputs inputs) {
    const Stored* w = weights(t, inputs, output);
    for (int64_t row = 0; row < t.rows; ++row) {
      float sum = 0.0f;
      for (int64_t i = 0; i < inputs.count; ++i) {
        sum += Lanes::one(w[i * t.stride]) * t.x[row * t.inputs + inputs.k + i];
      }
      float* y = t.y + row * t.outputs + output;
      *y = inputs.k > 0 ? *y + sum : sum;
    }
  }

  static void run(const ThinWork& t, int64_t first, int64_t last) {
    constexpr int64_t kGroup = kOutputs * kLanes;
    for (Inputs inputs{0, 0}; inputs.k < t.inputs; inputs.k += kInputs) {
      inputs.count = smaller(kInputs, t.inputs - inputs.k);
      int64_t output = first;
      if (t.rows == 1) {  // longer runs, of as many sums as four rows have
        for (; output + 4 * kGroup <= last; output += 4 * kGroup) {
          const Stored* w = weights(t, inputs, output);
          tile<1, 4 * kOutputs>(t, 0, output, inputs, w, t.stride, following(t, inputs, w, 0, 1));
        }
      }
      for (; output + kGroup <= last; output += kGroup) group<kOutputs>(t, output, inputs);
      for (; output + kLanes <= last; output += kLanes) group<1>(t, output, inputs);
      for (; output < last; ++output) rest(t, output, inputs);
    }
    if (!t.bias) return;
    for (int64_t row = 0; row < t.rows; ++row) {
      for (int64_t o = first; o < last; ++o) t.y[row * t.outputs + o] += t.bias[o];
    }
  }
};

}  // namespace
}  // namespace lenswright
