#include "edits/commit_plan.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/narrow.h"
#include "base/parallel.h"
#include "base/sha256.h"
#include "edits/targets.h"
#include "spec/family.h"

namespace lenswright {
namespace {

class Planner {
 public:
  Planner(const Edit& edit, const std::filesystem::path& input)
      : edit_(edit),
        checkpoint_(Checkpoint::open(input)),
        family_(family_of(checkpoint_->config())) {
    spec_ = family_.read(checkpoint_->config());
    rows_ = rows_in(family_, spec_,
                    [&](const std::string& name) { return checkpoint_->contains(name); });
    for (const Row& row : rows_) shapes_[row.source] = row.stored_shape();
    writers_ = writers(spec_, rows_);
  }

  CommitPlan plan() {
    edit_.check_single("commit");
    plan_.checkpoint = checkpoint_;
    for (const Part& part : edit_.parts()) add(part);
    return std::move(plan_);
  }

 private:
  void add(const Part& part) {
    const WriterSite& writer = writer_named(writers_, part.writer);
    const TensorInfo weight = stored(writer.weight);
    const int axis = writer.residual_axis;
    part.factors.checked(part.writer, weight.shape[axis], weight.shape[1 - axis]);
    plan_.targets[weight.name] = {weight, part.weight.sha256, part.factors.spans(), axis};
    TORCH_CHECK_VALUE(!part.factors.shift.defined() || !writer.bias.empty(), "factor shift of '",
                      writer.name, "': this writer has no bias to shift");
    if (!writer.bias.empty() && part.factors.changes_bias()) {
      plan_.targets[writer.bias] = {stored(writer.bias), part.bias.sha256,
                                    part.factors.bias_spans(), 1};
    }
    if (writer.kind == WriterKind::token_embedding && spec_.tied) untie(weight);
  }

  TensorInfo stored(const std::string& name) const {
    const std::string first = checkpoint_->shards().front();
    if (!checkpoint_->contains(name)) {
      throw CheckpointError(Flaw::layout, first, "the tensor is missing, but the edit changes it",
                            name);
    }
    const TensorInfo& info = checkpoint_->info(name);
    if (info.shape != shapes_.at(name)) {
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

  void untie(const TensorInfo& embedding) {
    plan_.unties = true;
    plan_.embedding = embedding;
    const std::string head = head_row(family_, spec_).source;
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
  const Family& family_;
  Spec spec_;
  std::vector<Row> rows_;
  std::map<std::string, std::vector<int64_t>> shapes_;
  std::vector<WriterSite> writers_;
  CommitPlan plan_;
};

}  // namespace

StoredMatrix CommitTarget::matrix(const Checkpoint& checkpoint) const {
  const bool matrix = info.shape.size() == 2;
  return {info.dtype, checkpoint.data(info).data(), matrix ? info.shape[0] : 1, info.shape.back(),
          residual_axis};
}

int64_t CommitPlan::bytes() const {
  uint64_t total = head.empty() ? 0 : embedding.bytes();
  for (const TensorInfo& tensor : checkpoint->tensors()) total += tensor.bytes();
  return static_cast<int64_t>(total);
}

CommitPlan plan_commit(const Edit& edit, const std::filesystem::path& input) {
  return Planner(edit, input).plan();
}

std::map<std::string, std::string> check_bases(const CommitPlan& plan, int threads) {
  std::vector<const CommitTarget*> targets;
  std::map<std::string, std::string> hashes;
  for (const auto& [name, target] : plan.targets) {
    targets.push_back(&target);
    hashes[name];
  }
  // The largest first, so that no thread is left alone with it at the end.
  std::ranges::sort(targets, std::greater(), [](const auto* t) { return t->info.bytes(); });
  parallel_for(static_cast<int64_t>(targets.size()), threads, [&](int64_t i) {
    const CommitTarget& target = *targets[i];
    const auto map = plan.checkpoint->map(target.info.file);
    map->check_unchanged();
    map->advise(MappedFile::Advice::will_need, target.info.begin, target.info.end);
    hashes.at(target.info.name) = Sha256::hex(plan.checkpoint->data(target.info));
  });
  for (const auto& [name, target] : plan.targets) {
    TORCH_CHECK_VALUE(target.expected.empty() || target.expected == hashes[name], "tensor '", name,
                      "' in ", plan.checkpoint->path().string(), " has SHA-256 ", hashes[name],
                      ", but the edit was made for ", target.expected);
  }
  return hashes;
}

}  // namespace lenswright
