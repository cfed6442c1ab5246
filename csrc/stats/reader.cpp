#include "stats/reader.h"

#include <ATen/ATen.h>

namespace lenswright {

Taps::Reader moments_reader(std::shared_ptr<Moments> moments, Samples samples, Point point) {
  TORCH_CHECK_VALUE(samples.rows.sizes() == samples.places.sizes() &&
                        samples.rows.sizes() == samples.cells.sizes(),
                    "samples: rows, places and cells have shapes ", samples.rows.sizes(), ", ",
                    samples.places.sizes(), " and ", samples.cells.sizes(), ", expected the same");
  return [moments = std::move(moments), samples = std::move(samples),
          point](const at::Tensor& tensor) {
    const at::Tensor rows = samples.rows.to(tensor.device());
    const at::Tensor places = samples.places.to(tensor.device());
    const at::Tensor values = tensor.detach().index({rows, places}).flatten(1).to(at::kCPU);
    TORCH_CHECK_VALUE(values.isfinite().all().item<bool>(), "the activations at '", name_of(point),
                      "' have values that are not finite in ", tensor.scalar_type(),
                      "; expected finite ones (load with dtype='float32'?)");
    moments->add(values, samples.cells);
  };
}

}  // namespace lenswright
