#include "stats/reader.h"

#include <ATen/ATen.h>

#include "stats/winsorise.h"

namespace lenswright {

Taps::Reader statistics_reader(Accumulators accumulators, Samples samples, Point point,
                               double winsorise) {
  TORCH_CHECK_VALUE(samples.rows.sizes() == samples.places.sizes() &&
                        samples.rows.sizes() == samples.cells.sizes(),
                    "samples: rows, places and cells have shapes ", samples.rows.sizes(), ", ",
                    samples.places.sizes(), " and ", samples.cells.sizes(), ", expected the same");
  return [accumulators = std::move(accumulators), samples = std::move(samples), point,
          winsorise](const at::Tensor& tensor) {
    const at::Tensor rows = samples.rows.to(tensor.device());
    const at::Tensor places = samples.places.to(tensor.device());
    const at::Tensor stored = tensor.detach().index({rows, places}).flatten(1).to(at::kCPU);
    TORCH_CHECK_VALUE(stored.isfinite().all().item<bool>(), "the activations at '", name_of(point),
                      "' have values that are not finite in ", tensor.scalar_type(),
                      "; expected finite ones (load with dtype='float32'?)");
    at::Tensor values = stored.to(at::kDouble).contiguous();
    if (winsorise < 1) values = winsorised(values, winsorise);
    for (const auto& accumulator : accumulators) accumulator->take(values, samples);
  };
}

}  // namespace lenswright
