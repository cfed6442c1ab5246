#pragma once

#include <cstdint>

namespace lenswright {

/// What a weight may be stored as; also the place in a kernel's lists of functions.
enum class ThinType : uint8_t { f32, bf16, f16 };

/// y [rows, outputs] = x Wᵀ + bias.
struct ThinWork {
  const float* x;      // [rows, inputs]; for by_rows as `pack` laid it out
  const void* weight;  // by_rows: outputs lie one after the other; by_columns: inputs do
  int64_t stride;      // numbers from one output (by_columns: input) to the next
  const float* bias;   // or nullptr
  float* y;
  int64_t rows, inputs, outputs;
};

/// Products of few rows with a weight as it is stored, for one instruction set.
///
/// Each weight is read once and widened in registers. A number of y depends on its row of x, on its
/// weights and on the weight's shape: the order of its sum is the same for any number of rows and
/// any split of the outputs between threads.
struct ThinKernel {
  using Pack = void (*)(const float* x, int64_t inputs, int64_t rows, float* to);
  using Run = void (*)(const ThinWork& work, int64_t first, int64_t last);

  int64_t step;     // inputs of a packed row are filled up with zeros to a multiple of this
  int64_t outputs;  // computed together by by_rows; a task's first output is a multiple of it
  int64_t columns;  // the same of by_columns
  Pack pack;        // up to kThinBlock rows; a block after the other makes ThinWork::x
  Run by_rows[3];   // outputs first to last
  Run by_columns[3];
};

/// Rows of x that a pass over some weights serves.
inline constexpr int64_t kThinBlock = 4;

const ThinKernel& thin_kernel_plain();
/// nullptr where the compiler makes no such code.
const ThinKernel* thin_kernel_avx2();
const ThinKernel* thin_kernel_avx512();

}  // namespace lenswright
