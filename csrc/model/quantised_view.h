#pragma once

#include <memory>

#include "model/source.h"
#include "nn/quantised.h"
#include "spec/quantised.h"

namespace lenswright {

/// The codes and scales of a tensor as views of where they are stored; only an fp8 weight's scales,
/// one for thousands of numbers, are copied where they are not float32. Refuses scales that are no
/// finite numbers, and through the source: by the tensor's name and place.
std::shared_ptr<const Quantised> quantised_view(const Source& source, const QuantisedTensor& tensor,
                                                at::Device device);

/// Scales as they multiply: numbers in float32, and bytes or E8M0 as powers of two.
at::Tensor factors_of(const at::Tensor& scales);

}  // namespace lenswright
