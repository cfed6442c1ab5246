#include "edits/apply.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "base/parallel.h"
#include "edits/changes.h"
#include "edits/hashes.h"
#include "model/tensors.h"

namespace lenswright {
namespace {

constexpr int64_t kSlab = int64_t{1} << 18;  // numbers one thread works on at a time

struct Target {
  std::shared_ptr<Stored> stored;
  Change change;
  at::Tensor result{};
};

std::vector<Target> targets_of(const Model& model, const Edit& edit) {
  std::vector<Target> targets;
  for (auto& [name, change] : changes_of(edit, model.writers())) {
    targets.push_back({model.stored(name), change});
  }
  return targets;
}

void check_bases(const std::vector<Target>& targets) {
  std::vector<std::shared_ptr<Stored>> tensors;
  for (const Target& target : targets) {
    TORCH_CHECK_VALUE(target.stored->edit.empty(), "tensor '", target.stored->name,
                      "' already carries an edit; expected edit.revert(model) first");
    tensors.push_back(target.stored);
  }
  const std::vector<std::string> hashes = sha256_of(tensors);
  for (size_t i = 0; i < targets.size(); ++i) {
    const std::string& wanted = targets[i].change.expected;
    TORCH_CHECK_VALUE(wanted.empty() || wanted == hashes[i], "tensor '", tensors[i]->name,
                      "' has SHA-256 ", hashes[i], ", but the edit was made for ", wanted);
  }
}

void write_piece(const StoredMatrix& source, const FactorSpans& factors, std::byte* to) {
  const int threads = at::get_num_threads();
  const EditedMatrix edited(source, factors, threads);
  const int64_t step = std::max<int64_t>(1, kSlab / source.columns);
  parallel_for((source.rows + step - 1) / step, threads, [&](int64_t slab) {
    const int64_t first = slab * step;
    edited.write(first, std::min(step, source.rows - first), to + first * source.row_bytes());
  });
}

// A quantised tensor as a whole, in the type in which edits write it.
at::Tensor dequantised(const Target& target) {
  const Stored& stored = *target.stored;
  Quantised source = *stored.quantised;
  for (at::Tensor* part : {&source.codes, &source.scales, &source.factors}) {
    if (part->defined()) *part = part->cpu();
  }
  at::Tensor result = at::empty(stored.shape, scalar_type(kDequantised).value());
  auto* const to = static_cast<std::byte*>(result.mutable_data_ptr());
  for (const Piece& piece : target.change.all_pieces(stored.shape)) {
    write_piece(piece.matrix(source, stored.shape), piece.factors,
                to + piece.offset(kDequantised, stored.shape));
  }
  return result.to(stored.quantised->codes.device());
}

// A copy of the whole tensor, where an edit may change some of many experts' matrices.
at::Tensor computed(const Target& target) {
  if (target.stored->quantised) return dequantised(target);
  const at::Tensor original = target.stored->original.detach().cpu().contiguous();
  const bool whole = target.change.pieces.front().slice < 0;
  at::Tensor result = whole ? at::empty_like(original) : original.clone();
  const auto* const from = static_cast<const std::byte*>(original.const_data_ptr());
  auto* const to = static_cast<std::byte*>(result.mutable_data_ptr());
  const Dtype dtype = stored_type(original.scalar_type());
  const std::vector<int64_t> shape = original.sizes().vec();
  for (const Piece& piece : target.change.pieces) {
    StoredMatrix matrix = piece.matrix(dtype, shape, from);
    matrix.name = target.stored->name;
    write_piece(matrix, piece.factors, to + piece.offset(dtype, shape));
  }
  return result.to(target.stored->original.device());
}

bool unties(const Model& model, const Edit& edit) {
  return model.spec().tied &&
         std::any_of(edit.parts().begin(), edit.parts().end(),
                     [](const auto& p) { return p.key.kind == WriterKind::token_embedding; });
}

}  // namespace

void apply(Model& model, const Edit& edit) {
  const c10::InferenceMode no_inference(false);
  edit.check_single("apply");
  std::vector<Target> targets = targets_of(model, edit);
  check_bases(targets);
  for (Target& target : targets) target.result = computed(target);
  if (unties(model, edit)) model.untie(true);
  const std::string id = edit.id();
  for (Target& target : targets) {
    target.stored->value = std::move(target.result);
    target.stored->edit = id;
  }
}

void revert(Model& model, const Edit& edit) {
  const std::vector<Target> targets = targets_of(model, edit);
  const std::string id = edit.id();
  for (const Target& target : targets) {
    TORCH_CHECK_VALUE(target.stored->edit == id, "tensor '", target.stored->name, "' ",
                      target.stored->edit.empty() ? "carries no edit" : "carries another edit",
                      ", expected edit.apply(model) before edit.revert(model)");
  }
  for (const Target& target : targets) {
    target.stored->value = target.stored->original;
    target.stored->edit.clear();
  }
  if (unties(model, edit)) model.untie(false);
}

bool is_applied(const Model& model, const Edit& edit) {
  const std::vector<Target> targets = targets_of(model, edit);
  const std::string id = edit.id();
  return !targets.empty() && std::all_of(targets.begin(), targets.end(), [&](const Target& target) {
    return target.stored->edit == id;
  });
}

}  // namespace lenswright
