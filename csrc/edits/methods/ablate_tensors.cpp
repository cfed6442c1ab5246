#include "edits/methods/ablate_tensors.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/narrow.h"
#include "base/sha256.h"
#include "base/text.h"
#include "edits/targets.h"
#include "io/checkpoint.h"

namespace lenswright {
namespace {

at::Tensor unit(const at::Tensor& given) {
  const at::Tensor v = given.detach().to(at::kCPU, at::kDouble);
  TORCH_CHECK_VALUE(v.dim() == 1 && v.numel() > 0, "direction has shape ", given.sizes(),
                    ", expected [d_model]");
  TORCH_CHECK_VALUE(at::isfinite(v).all().item<bool>(),
                    "direction has numbers that are not finite");
  const at::Tensor largest = v.abs().amax();
  TORCH_CHECK_VALUE(largest.item<double>() > 0, "direction is zero, expected a direction");
  const at::Tensor scaled = v / largest;
  return scaled / at::linalg_vector_norm(scaled);
}

// Of the last two sizes, which lies along the residual.
int axis_of(const TensorInfo& info, int64_t width, int given) {
  const size_t dims = info.shape.size();
  if (dims == 1) return 1;  // one row
  const bool rows = info.shape[dims - 2] == width, columns = info.shape[dims - 1] == width;
  TORCH_CHECK_VALUE(given >= 0 || !(rows && columns), "tensor '", info.name, "' has shape ",
                    shape_text(info.shape),
                    ": either axis may lie along the residual; expected "
                    "axis='rows' (as nn.Linear stores it) or 'columns'");
  return given >= 0 ? given : rows ? 0 : 1;
}

void check(const TensorInfo& info, int64_t width, int axis) {
  const size_t dims = info.shape.size();
  const bool fits =
      dims >= 1 && dims <= 3 && (axis == 0 ? info.shape[dims - 2] : info.shape[dims - 1]) == width;
  TORCH_CHECK_VALUE(fits, "tensor '", info.name, "' has shape ", shape_text(info.shape),
                    ", expected one of its last two sizes, along the residual, to be ", width);
  TORCH_CHECK_VALUE(can_narrow(info.dtype), "tensor '", info.name, "' has type ",
                    std::string(wire_name(info.dtype)), ", expected F64, F32, BF16 or F16");
}

}  // namespace

std::shared_ptr<Edit> ablate_tensors(const std::filesystem::path& path,
                                     const TensorAblation& ablation) {
  TORCH_CHECK_VALUE(std::isfinite(ablation.strength), "strength is ", ablation.strength,
                    ", expected a finite number");
  const auto checkpoint = Checkpoint::open(path);
  const at::Tensor v = unit(ablation.direction).unsqueeze(0);
  const int64_t width = v.size(1);
  std::vector<WriterSite> sites;
  for (const TensorInfo& info : checkpoint->tensors()) {
    WriterSite site;
    site.name = info.name;
    site.kind = WriterKind::tensor;
    sites.push_back(site);
  }
  for (const std::string& one : ablation.tensors) {
    TORCH_CHECK_VALUE(one != "all" && one != "tensor", "writers has '", one,
                      "', expected names or globs of tensors such as '", sites.front().name,
                      "': nobody knows which of them write");
  }
  const Targets targets = choose_writers(sites, ablation.tensors);
  Factors shared;
  shared.v = v;
  shared.u = ablation.strength * v;
  OnceEach once;
  std::vector<Part> parts;
  std::vector<Untouched> untouched;
  for (const auto& [name, why] : targets.reasons)
    untouched.push_back({name, WriterKind::tensor, why});
  for (const WriterSite* site : targets.chosen) {
    const TensorInfo& info = checkpoint->info(site->name);
    const int axis = axis_of(info, width, ablation.residual_axis);
    check(info, width, axis);
    const size_t dims = info.shape.size();
    const int64_t other = dims == 1 ? 1 : info.shape[axis == 0 ? dims - 1 : dims - 2];
    const std::string hash = Sha256::hex(checkpoint->data(info));
    const int64_t matrices = dims == 3 ? info.shape[0] : 1;
    for (int64_t i = 0; i < matrices; ++i) {
      Part part;
      part.writer = dims == 3 ? info.name + "[" + std::to_string(i) + "]" : info.name;
      part.key = {WriterKind::tensor, -1, dims == 3 ? i : -1};
      part.factors = shared.checked(part.writer, width, other, once);
      part.weight = {info.name, hash};
      part.place = {axis, dims == 3 ? i : -1, width, other};
      parts.push_back(std::move(part));
    }
  }
  Json provenance = ablation.provenance, remarks = Json::array(), asked = Json::array();
  for (const std::string& tensor : ablation.tensors) asked.push_back(tensor);
  remarks.push_back(
      "tensors are known by name only: nothing was tried, and norms behind them, multipliers, "
      "biases and tied embeddings that were not named are not accounted for");
  provenance.set("method", "plain");
  provenance.set("writers", asked);
  provenance.set("strength", ablation.strength);
  provenance.set("remarks", remarks);
  return std::make_shared<Edit>(std::move(parts), std::move(untouched), std::move(provenance));
}

}  // namespace lenswright
