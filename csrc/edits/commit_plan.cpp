#include "edits/commit_plan.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "base/narrow.h"
#include "edits/hashes.h"
#include "model/quantised_view.h"
#include "spec/decoder.h"

namespace lenswright {
namespace {

class Planner {
 public:
  Planner(const Edit& edit, const std::filesystem::path& input)
      : edit_(edit), checkpoint_(Checkpoint::open(input)) {
    const auto& parts = edit.parts();
    // Tensors known by name need no family to be edited.
    const bool named = !parts.empty() && std::ranges::all_of(parts, [](const Part& part) {
      return part.place.known();
    });
    if (named) return;
    decoder_ = decoder_of(*checkpoint_);
    for (const Row& row : decoder_->rows) shapes_[row.source] = row.stored_shape();
  }

  CommitPlan plan() {
    edit_.check_single("commit");
    plan_.checkpoint = checkpoint_;
    const auto sites =
        decoder_ ? writers(decoder_->spec, decoder_->rows) : std::vector<WriterSite>();
    for (auto& [name, change] : changes_of(edit_, sites)) {
      const bool quantised = decoder_ && decoder_->quantised.find(name);
      if (!quantised) check_sizes(name, change);
      plan_.targets[name] = {quantised ? TensorInfo{} : stored(name), std::move(change)};
    }
    if (!plan_.targets.empty()) dequantise();
    for (const Part& part : edit_.parts()) {
      if (part.key.kind == WriterKind::token_embedding && decoder_->spec.tied) {
        untie(checkpoint_->info(decoder_->rows.front().source));
      }
    }
    return std::move(plan_);
  }

 private:
  TensorInfo stored(const std::string& name) const {
    const std::string first = checkpoint_->shards().front();
    if (!checkpoint_->contains(name)) {
      throw CheckpointError(Flaw::layout, first, "the tensor is missing, but the edit changes it",
                            name);
    }
    const TensorInfo& info = checkpoint_->info(name);
    const auto shape = shapes_.find(name);
    if (shape != shapes_.end() && info.shape != shape->second) {
      throw CheckpointError(Flaw::layout, info.file, "its shape is not what config.json asks for",
                            name, info.begin);
    }
    if (!can_narrow(info.dtype)) {
      throw CheckpointError(Flaw::dtype, info.file,
                            "type " + std::string(wire_name(info.dtype)) +
                                " cannot be edited, expected F64, F32, BF16 or F16",
                            name, info.begin);
    }
    return info;
  }

  void dequantise() {
    if (!decoder_) return;
    plan_.form = decoder_->quantised.form;
    const auto source = checkpoint_source(checkpoint_);
    for (const auto& [name, tensor] : decoder_->quantised.by_name) {
      const auto known = shapes_.find(name);
      const TensorInfo &codes = checkpoint_->info(tensor.codes),
                       &scales = checkpoint_->info(tensor.scales);
      if (known != shapes_.end() && known->second != tensor.shape) {
        throw CheckpointError(Flaw::layout, codes.file,
                              "its shape is not what config.json asks for", codes.name,
                              codes.begin);
      }
      CommitTarget& target = plan_.targets[name];
      const uint64_t bytes = tensor_bytes(kDequantised, tensor.shape).value();
      target.info = {name, kDequantised, tensor.shape, 0, bytes, codes.file};
      target.quantised = quantised_view(*source, tensor, at::kCPU);
      target.parts = {codes, scales};
      plan_.replaced[tensor.codes] = name;
    }
    for (const std::string& name : decoder_->quantised.beside) plan_.replaced[name] = "";
  }

  // Of tensors known by name there is no config.json to tell the shape.
  void check_sizes(const std::string& name, const Change& change) const {
    for (const Part& part : edit_.parts()) {
      if (!part.place.known() || part.weight.name != name || !checkpoint_->contains(name)) continue;
      const TensorInfo& info = checkpoint_->info(name);
      const Piece& piece = change.pieces.front();
      const StoredMatrix matrix = piece.matrix(info.dtype, info.shape, nullptr);
      const int64_t out = part.place.residual_axis == 0 ? matrix.rows : matrix.columns;
      const int64_t in = part.place.residual_axis == 0 ? matrix.columns : matrix.rows;
      const bool fits = out == part.place.outputs && in == part.place.inputs &&
                        (part.place.slice < 0 || part.place.slice < info.shape.front());
      if (fits) continue;
      throw CheckpointError(Flaw::layout, info.file, "its shape is not what the edit was made for",
                            name, info.begin);
    }
  }

  void untie(const TensorInfo& embedding) {
    plan_.unties = true;
    plan_.embedding = embedding;
    const std::string& head = decoder_->head.source;
    if (!checkpoint_->contains(head)) {
      plan_.head = head;
      return;
    }
    // A tied checkpoint may store the head again; once untied it counts, so it must be the
    // embedding.
    const TensorInfo& info = checkpoint_->info(head);
    const auto a = checkpoint_->data(info), b = checkpoint_->data(embedding);
    if (info.shape == embedding.shape && info.dtype == embedding.dtype &&
        std::ranges::equal(a, b)) {
      return;
    }
    throw CheckpointError(
        Flaw::layout, info.file,
        "differs from '" + embedding.name + "' though tie_word_embeddings is true", head,
        info.begin);
  }

  const Edit& edit_;
  std::shared_ptr<Checkpoint> checkpoint_;
  std::optional<Decoder> decoder_;  // none where the edit names tensors
  std::map<std::string, std::vector<int64_t>> shapes_;
  CommitPlan plan_;
};

}  // namespace

std::vector<TensorSpec> CommitPlan::contents(const std::string& shard) const {
  std::vector<TensorSpec> specs;
  for (const TensorInfo& t : checkpoint->header(shard).tensors) {
    const auto other = replaced.find(t.name);
    if (other == replaced.end()) {
      specs.push_back({t.name, t.dtype, t.shape});
    } else if (!other->second.empty()) {
      const TensorInfo& info = targets.at(other->second).info;
      specs.push_back({info.name, info.dtype, info.shape});
    }
  }
  if (!head.empty() && embedding.file == shard) {
    specs.push_back({head, embedding.dtype, embedding.shape});
  }
  if (!replaced.empty()) sort_as_reference(specs);  // each type at multiples of its size
  return specs;
}

bool CommitPlan::rearranges(const std::string& shard) const {
  if (!head.empty() && embedding.file == shard) return true;
  return std::ranges::any_of(checkpoint->header(shard).tensors,
                             [&](const TensorInfo& t) { return replaced.contains(t.name); });
}

int64_t CommitPlan::bytes() const {
  uint64_t total = 0;
  for (const std::string& shard : checkpoint->shards()) {
    for (const TensorSpec& spec : contents(shard)) {
      total += tensor_bytes(spec.dtype, spec.shape).value();
    }
  }
  return static_cast<int64_t>(total);
}

CommitPlan plan_commit(const Edit& edit, const std::filesystem::path& input) {
  return Planner(edit, input).plan();
}

std::map<std::string, std::string> hashes_of(const CommitPlan& plan, int threads) {
  std::vector<std::string> names;
  std::vector<std::vector<TensorInfo>> tensors;
  for (const auto& [name, target] : plan.targets) {
    if (target.change.pieces.empty()) continue;  // the edit is not about it
    names.push_back(name);
    tensors.push_back(target.parts.empty() ? std::vector{target.info} : target.parts);
  }
  const std::vector<std::string> found = sha256_of(*plan.checkpoint, tensors, threads);
  std::map<std::string, std::string> hashes;
  for (size_t i = 0; i < names.size(); ++i) hashes[names[i]] = found[i];
  return hashes;
}

std::map<std::string, std::string> check_bases(const CommitPlan& plan, int threads) {
  auto hashes = hashes_of(plan, threads);
  for (const auto& [name, hash] : hashes) {
    const std::string& expected = plan.targets.at(name).change.expected;
    TORCH_CHECK_VALUE(expected.empty() || expected == hash, "tensor '", name, "' in ",
                      plan.checkpoint->path().string(), " has SHA-256 ", hash,
                      ", but the edit was made for ", expected);
  }
  return hashes;
}

}  // namespace lenswright
