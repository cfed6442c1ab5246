#pragma once

#include <cstdint>

#include "nn/thin_kernel.h"

namespace lenswright {

/// y [rows, outputs] = x Wᵀ + bias.
struct PanelWork {
  const float* x;
  int64_t from_row;     // numbers from one row of x to the next
  const void* weight;   // numbers from one output to the next, and from one input to the next:
  int64_t from_output;  // one of the two is 1
  int64_t from_input;
  const float* bias;  // or nullptr
  float* y;
  int64_t rows, inputs, outputs;
};

/// Some of the rows and outputs; the first output is a multiple of a kernel's.
struct PanelPart {
  int64_t row, last_row, output, last_output;
};

/// Products of any number of rows with a weight as it is stored, for one instruction set.
///
/// A panel of the weight, so many outputs by kPanelDepth inputs, is widened and turned into the
/// nearest cache and serves all rows there. Source: Goto, van de Geijn 2008, "Anatomy of
/// high-performance matrix multiplication"; blocks of sums in registers as in Van Zee, van de Geijn
/// 2015, "BLIS".
/// A number of y is summed up one input after the other, each kPanelDepth of them by themselves: it
/// depends on its row of x and on its weights, and on nothing else.
struct PanelKernel {
  using Run = void (*)(const PanelWork& work, const PanelPart& part, float* room);

  int64_t rows, outputs;  // of which the sums stay in registers
  Run run[3];             // by ThinType; `room` for kPanelDepth * (outputs + rows of the part)
};

/// Inputs of a panel: with its outputs it fills about half of the nearest cache.
inline constexpr int64_t kPanelDepth = 256;

const PanelKernel& panel_kernel_plain();
/// nullptr where the compiler makes no such code.
const PanelKernel* panel_kernel_avx2();
const PanelKernel* panel_kernel_avx512();

}  // namespace lenswright
