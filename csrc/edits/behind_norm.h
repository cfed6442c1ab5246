#pragma once

#include "model/model.h"

namespace lenswright {

/// What has to be taken out of a writer's output so that nothing is left along `directions`
/// [..., d_model] in what is added to the residual.
///
/// Those directions themselves, except where a norm stands between: adding v · norm(y) is adding
/// (g ⊙ v) · y, scaled and shifted, with g the norm's gain; a layer norm takes the mean out first.
/// Float64 on the CPU, of no particular length; zero where the norm lets nothing through.
at::Tensor before_norm(const Model& model, const WriterSite& writer, const at::Tensor& directions);

}  // namespace lenswright
