#include "edits/behind_norm.h"

#include <ATen/ATen.h>

namespace lenswright {
namespace {

// [d_model] float64 on the CPU, or undefined where the norm has none.
at::Tensor gain_of(const Model& model, const WriterSite& writer) {
  const Weight* gain = model.find_weight(writer.norm + ".w");
  if (!gain) return {};
  return gain->view().detach().to(at::kCPU, at::kDouble) + model.spec().norm.offset;
}

at::Tensor centred(const Model& model, const at::Tensor& v) {
  return model.spec().norm.kind == NormKind::layer ? v - v.mean(-1, true) : v;
}

}  // namespace

at::Tensor before_norm(const Model& model, const WriterSite& writer, const at::Tensor& directions) {
  const at::Tensor v = directions.detach().to(at::kCPU, at::kDouble);
  if (writer.norm.empty()) return v;
  const at::Tensor gain = gain_of(model, writer);
  return centred(model, gain.defined() ? v * gain : v);
}

at::Tensor written_before_norm(const Model& model, const WriterSite& writer,
                               const at::Tensor& directions) {
  const at::Tensor v = directions.detach().to(at::kCPU, at::kDouble);
  if (writer.norm.empty()) return v;
  const at::Tensor gain = gain_of(model, writer);
  if (!gain.defined()) return centred(model, v);
  return centred(model, at::where(gain == 0, at::zeros_like(v), v / gain));
}

}  // namespace lenswright
