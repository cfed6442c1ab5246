#include "stats/accumulator.h"

#include <ATen/ATen.h>

namespace lenswright {

void check_samples(const at::Tensor& values, const at::Tensor& cells, int64_t width,
                   int64_t cell_count) {
  TORCH_CHECK_VALUE(values.dim() == 2 && values.size(1) == width, "values has shape ",
                    values.sizes(), ", expected [samples, ", width, "]");
  TORCH_CHECK_VALUE(cells.dim() == 1 && cells.size(0) == values.size(0) &&
                        cells.scalar_type() == at::kLong && cells.device().is_cpu(),
                    "cells has shape ", cells.sizes(), ", expected [", values.size(0),
                    "] of int64 on the CPU");
  const at::Tensor index = cells.contiguous();
  const int64_t* cell = index.const_data_ptr<int64_t>();
  for (int64_t sample = 0; sample < index.size(0); ++sample) {
    TORCH_CHECK_INDEX(cell[sample] >= 0 && cell[sample] < cell_count, "cells has ", cell[sample],
                      ", expected 0 to ", cell_count - 1);
  }
}

at::Tensor part_of(const Accumulator::State& state, const std::string& name, at::ScalarType type,
                   int64_t dimensions) {
  const auto found = state.find(name);
  TORCH_CHECK_VALUE(found != state.end(), "state has no '", name, "'");
  const at::Tensor& part = found->second;
  TORCH_CHECK_VALUE(part.scalar_type() == type && part.dim() == dimensions, "state has '", name,
                    "' of ", part.scalar_type(), " ", part.sizes(), ", expected ", type, " with ",
                    dimensions, " dimensions");
  return part.clone(at::MemoryFormat::Contiguous);
}

}  // namespace lenswright
