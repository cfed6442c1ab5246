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

/// What a writer has to write so that `directions` [..., d_model] are what is added, up to the
/// norm's scale: themselves, or divided by the gain of the norm between (0 where that is 0) with,
/// for a layer norm, the mean taken out.
at::Tensor written_before_norm(const Model& model, const WriterSite& writer,
                               const at::Tensor& directions);

}  // namespace lenswright
