#include "edits/methods/ablate_tensors.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "base/narrow.h"
#include "base/text.h"
#include "edits/hashes.h"
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

// Every tensor may be asked for by its name, as nobody knows which of them write.
std::vector<WriterSite> sites_of(const Checkpoint& checkpoint) {
  std::vector<WriterSite> sites;
  for (const TensorInfo& info : checkpoint.tensors()) {
    WriterSite site;
    site.name = info.name;
    site.kind = WriterKind::tensor;
    sites.push_back(site);
  }
  return sites;
}

Targets chosen_of(const std::vector<WriterSite>& sites, const std::vector<std::string>& asked) {
  for (const std::string& one : asked) {
    TORCH_CHECK_VALUE(one != "all" && one != "tensor", "writers has '", one,
                      "', expected names or globs of tensors such as '", sites.front().name,
                      "': nobody knows which of them write");
  }
  return choose_writers(sites, asked);
}

// A part for each matrix of a tensor.
void add_parts(std::vector<Part>& parts, const TensorInfo& info, const std::string& hash, int axis,
               const Factors& factors, OnceEach& once) {
  const size_t dims = info.shape.size();
  const int64_t width = factors.v.size(1);
  const int64_t other = dims == 1 ? 1 : info.shape[axis == 0 ? dims - 1 : dims - 2];
  const int64_t matrices = dims == 3 ? info.shape[0] : 1;
  for (int64_t i = 0; i < matrices; ++i) {
    Part part;
    part.writer = dims == 3 ? info.name + "[" + std::to_string(i) + "]" : info.name;
    part.key = {WriterKind::tensor, -1, dims == 3 ? i : -1};
    part.factors = factors.checked(part.writer, width, other, once);
    part.weight = {info.name, hash};
    part.place = {axis, dims == 3 ? i : -1, width, other};
    parts.push_back(std::move(part));
  }
}

Json provenance_of(const TensorAblation& ablation) {
  Json provenance = ablation.provenance, remarks = Json::array(), asked = Json::array();
  for (const std::string& tensor : ablation.tensors) asked.push_back(tensor);
  remarks.push_back(
      "tensors are known by name only: nothing was tried, and norms behind them, multipliers, "
      "biases and tied embeddings that were not named are not accounted for");
  provenance.set("method", "plain");
  provenance.set("writers", asked);
  provenance.set("strength", ablation.strength);
  provenance.set("remarks", remarks);
  return provenance;
}

}  // namespace

std::shared_ptr<Edit> ablate_tensors(const std::filesystem::path& path,
                                     const TensorAblation& ablation) {
  TORCH_CHECK_VALUE(std::isfinite(ablation.strength), "strength is ", ablation.strength,
                    ", expected a finite number");
  const auto checkpoint = Checkpoint::open(path);
  Factors shared;
  shared.v = unit(ablation.direction).unsqueeze(0);
  shared.u = ablation.strength * shared.v;
  const int64_t width = shared.v.size(1);
  const std::vector<WriterSite> sites = sites_of(*checkpoint);
  const Targets targets = chosen_of(sites, ablation.tensors);
  std::vector<Untouched> untouched;
  for (const auto& [name, why] : targets.reasons)
    untouched.push_back({name, WriterKind::tensor, why});
  std::vector<int> axes;
  std::vector<std::vector<TensorInfo>> tensors;
  for (const WriterSite* site : targets.chosen) {
    const TensorInfo& info = checkpoint->info(site->name);
    axes.push_back(axis_of(info, width, ablation.residual_axis));
    check(info, width, axes.back());
    tensors.push_back({info});
  }
  const auto hashes = sha256_of(*checkpoint, tensors, at::get_num_threads());
  OnceEach once;
  std::vector<Part> parts;
  for (size_t i = 0; i < tensors.size(); ++i) {
    add_parts(parts, tensors[i].front(), hashes[i], axes[i], shared, once);
  }
  return std::make_shared<Edit>(std::move(parts), std::move(untouched), provenance_of(ablation));
}

}  // namespace lenswright
