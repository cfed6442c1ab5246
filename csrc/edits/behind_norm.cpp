#include "edits/behind_norm.h"

#include <ATen/ATen.h>

namespace lenswright {

at::Tensor before_norm(const Model& model, const WriterSite& writer, const at::Tensor& directions) {
  at::Tensor v = directions.detach().to(at::kCPU, at::kDouble);
  if (writer.norm.empty()) return v;
  const Norm& rule = model.spec().norm;
  if (const Weight* gain = model.find_weight(writer.norm + ".w")) {
    v = v * (gain->view().detach().to(at::kCPU, at::kDouble) + rule.offset);
  }
  return rule.kind == NormKind::layer ? v - v.mean(-1, true) : v;
}

}  // namespace lenswright
