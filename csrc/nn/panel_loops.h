#pragma once

#include "nn/panel_kernel.h"
#include "nn/panel_packing.h"

namespace lenswright {
namespace {

/// The loops of a PanelKernel. Lanes: see make_thin_kernel; kPanelRows * kPanelVectors sums stay in
/// registers.
template <class Lanes>
struct Panels {
  using V = typename Lanes::V;
  static constexpr int kLanes = Lanes::kLanes, kRows = Lanes::kPanelRows;
  static constexpr int kVectors = Lanes::kPanelVectors, kWidth = kVectors * kLanes;
  static constexpr int64_t kStep = kPanelStep;

  /// Where a block of sums goes: y += sums, or = bias + sums where it begins.
  struct Target {
    float* y;
    int64_t stride, outputs;
    const float* bias;
    bool begins;
  };

  static LENSWRIGHT_INLINE V before(const Target& t, const float* y, int64_t o) {
    if (!t.begins) return Lanes::load(y + o);
    return t.bias ? Lanes::load(t.bias + o) : Lanes::zero();
  }

  template <int R, int N>
  static LENSWRIGHT_INLINE void put(const ThinSums<Lanes, R, N>& sums, const Target& t) {
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) {
      float* y = t.y + r * t.stride;
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        const int64_t o = n * kLanes;
        if (o + kLanes <= t.outputs) {
          Lanes::store(y + o, Lanes::add(before(t, y, o), sums.of[r][n]));
          continue;
        }
        float rest[kLanes];
        Lanes::store(rest, sums.of[r][n]);
        for (int64_t i = o; i < t.outputs; ++i) {
          const float from = t.begins ? (t.bias ? t.bias[i] : 0.0f) : y[i];
          y[i] = from + rest[i - o];
        }
      }
    }
  }

  // The place of a row's sums, called into the cache before they are ready.
  static LENSWRIGHT_INLINE void call(const float* y) {
    for (int64_t i = 0; i < kWidth; i += 16) __builtin_prefetch(y + i, 1, 3);
  }

  template <int R, int N>
  static void block(const float* x, const float* w, int64_t steps, const Target& target) {
    for (int r = 0; r < R; ++r) call(target.y + r * target.stride);
    ThinSums<Lanes, R, N> sums;
    sums.clear();
    for (int64_t step = 0; step < steps; ++step, x += R * kStep) {
#pragma GCC unroll 8
      for (int i = 0; i < kStep; ++i, w += kWidth) {
        V a[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) a[n] = Lanes::load(w + n * kLanes);
#pragma GCC unroll 14
        for (int r = 0; r < R; ++r) {
          const V v = Lanes::all(x[r * kStep + i]);
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n) sums.of[r][n] = Lanes::fma(a[n], v, sums.of[r][n]);
        }
      }
    }
    put(sums, target);
  }

  // The block of as many rows and vectors.
  template <int R, int N>
  static LENSWRIGHT_INLINE void pick(int64_t rows, const float* x, const float* w, int64_t steps,
                                     const Target& target) {
    if constexpr (N > 1) {
      if (target.outputs <= (N - 1) * kLanes) return pick<R, N - 1>(rows, x, w, steps, target);
    }
    if constexpr (R > 1) {
      if (rows < R) return pick<R - 1, N>(rows, x, w, steps, target);
    }
    block<R, N>(x, w, steps, target);
  }

  template <class Stored>
  static void pack_weight(const PanelWork& t, int64_t output, int64_t input, int64_t inputs,
                          float* to) {
    using Packing = PanelPacking<Lanes, Stored, kVectors>;
    const Stored* w = static_cast<const Stored*>(t.weight);
    w += output * t.from_output + input * t.from_input;
    const int64_t outputs = smaller(kWidth, t.outputs - output);
    t.from_input == 1 ? Packing::by_rows(w, t.from_output, outputs, inputs, to)
                      : Packing::by_columns(w, t.from_input, outputs, inputs, to);
  }

  static void pack_rows(const PanelWork& t, const PanelPart& part, int64_t input, int64_t inputs,
                        float* to) {
    for (int64_t row = part.row; row < part.last_row; row += kRows) {
      const int64_t rows = smaller(kRows, part.last_row - row);
      pack_panel_rows(t.x + row * t.from_row + input, t.from_row, rows, inputs, to);
      to += rows * panel_filled(inputs);
    }
  }

  // A share of the panel that follows, called while this one is at work.
  template <class Stored>
  static void call_ahead(const PanelWork& t, int64_t output, int64_t input, int64_t inputs,
                         int64_t share, int64_t shares) {
    const Stored* w = static_cast<const Stored*>(t.weight);
    w += output * t.from_output + input * t.from_input;
    const bool turned = t.from_input != 1;
    const int64_t outputs = smaller(kWidth, t.outputs - output);
    const int64_t runs = turned ? inputs : outputs, length = turned ? outputs : inputs;
    const int64_t stride = turned ? t.from_input : t.from_output;
    const ThinAhead<Stored> ahead{w, stride, 1};
    for (int64_t i = runs * share / shares; i < runs * (share + 1) / shares; ++i) {
      ahead.call(w + i * stride, length);
    }
  }

  template <class Stored>
  static void run(const PanelWork& t, const PanelPart& part, float* room) {
    float* packed = room + kPanelDepth * kWidth;
    for (int64_t input = 0; input < t.inputs; input += kPanelDepth) {
      const int64_t inputs = smaller(kPanelDepth, t.inputs - input), filled = panel_filled(inputs);
      pack_rows(t, part, input, inputs, packed);
      for (int64_t output = part.output; output < part.last_output; output += kWidth) {
        pack_weight<Stored>(t, output, input, inputs, room);
        Target target{nullptr, t.outputs, smaller(kWidth, t.outputs - output),
                      t.bias ? t.bias + output : nullptr, input == 0};
        const int64_t next = output + kWidth < part.last_output ? output + kWidth : -1;
        const int64_t blocks = (part.last_row - part.row + kRows - 1) / kRows;
        for (int64_t row = part.row; row < part.last_row; row += kRows) {
          if (next >= 0) {
            call_ahead<Stored>(t, next, input, inputs, (row - part.row) / kRows, blocks);
          }
          target.y = t.y + row * t.outputs + output;
          pick<kRows, kVectors>(smaller(kRows, part.last_row - row),
                                packed + (row - part.row) * filled, room, filled / kStep, target);
        }
      }
    }
  }
};

template <class Lanes>
constexpr PanelKernel make_panel_kernel() {
  using P = Panels<Lanes>;
  return {P::kRows,
          P::kWidth,
          {P::template run<float>, P::template run<Bfloat>, P::template run<Half>}};
}

}  // namespace
}  // namespace lenswright
