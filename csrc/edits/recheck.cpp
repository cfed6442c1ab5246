#include "edits/recheck.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/parallel.h"
#include "base/sha256.h"
#include "edits/commit_plan.h"
#include "edits/record.h"
#include "edits/segments.h"

namespace lenswright {
namespace {

using Bytes = std::vector<std::byte>;

// A tensor after one more step: what it was before where there is no quantised source.
Bytes edited(const CommitTarget& target, bool quantised, const Bytes& before) {
  const TensorInfo& info = target.info;
  const std::vector<Piece> pieces =
      quantised ? target.change.all_pieces(info.shape) : target.change.pieces;
  Bytes after = before;
  after.resize(info.bytes());
  for (const Piece& piece : pieces) {
    const StoredMatrix matrix = quantised ? piece.matrix(*target.quantised, info.shape)
                                          : piece.matrix(info.dtype, info.shape, before.data());
    const EditedMatrix made(matrix, piece.factors, at::get_num_threads());
    std::byte* const to = after.data() + piece.offset(info.dtype, info.shape);
    const int64_t step =
        std::max<int64_t>(1, kSlabBytes / std::max<int64_t>(1, matrix.row_bytes()));
    parallel_for((matrix.rows + step - 1) / step, at::get_num_threads(), [&](int64_t slab) {
      const int64_t first = slab * step;
      made.write(first, std::min(step, matrix.rows - first), to + first * matrix.row_bytes());
    });
  }
  return after;
}

class Checker {
 public:
  Checker(const std::filesystem::path& folder, const std::optional<std::filesystem::path>& base,
          Progress* progress)
      : folder_(Checkpoint::open(folder)), steps_(read_record(*folder_)), progress_(progress) {
    if (base) base_ = Checkpoint::open(*base);
    found_.steps = steps_.size();
    for (const RecordStep& step : steps_) {
      for (const auto& [name, change] : step.tensors) last_[name] = change.after;
    }
    found_.edited = last_.size();
  }

  Recheck run() {
    if (progress_) progress_->set_total(total());
    if (base_) {
      for (const RecordStep& step : steps_) {
        plans_.push_back(plan_commit(*step.edit, base_->folder()));
      }
      check_base();
    }
    for (const auto& [name, after] : last_) check(name, after);
    if (base_) check_others();
    if (progress_) progress_->finish();
    return std::move(found_);
  }

 private:
  int64_t total() const {
    int64_t bytes = 0;
    for (const TensorInfo& info : folder_->tensors()) {
      const bool looked_at = last_.contains(info.name) || base_;
      bytes += looked_at ? static_cast<int64_t>(info.bytes()) : 0;
    }
    return bytes;
  }

  void wrong(const std::string& name, const std::string& what) { found_.wrong.emplace(name, what); }

  void check(const std::string& name, const std::string& after) {
    if (!folder_->contains(name)) return wrong(name, "is missing");
    const TensorInfo& info = folder_->info(name);
    const std::string hash = Sha256::hex(folder_->data(info));
    if (progress_) progress_->step(static_cast<int64_t>(info.bytes()));
    folder_->map(info.file)->release(info.begin, info.end);
    if (hash != after) return wrong(name, "has SHA-256 " + hash + ", the commit wrote " + after);
    if (base_) derive(name);
  }

  // From the base's tensor through every step that changed it.
  void derive(const std::string& name) {
    Bytes now;
    bool begun = false;
    for (size_t i = 0; i < steps_.size(); ++i) {
      const auto change = steps_[i].tensors.find(name);
      if (change == steps_[i].tensors.end()) continue;
      const auto target = plans_[i].targets.find(name);
      if (target == plans_[i].targets.end()) {
        return wrong(name, "is not what the recorded factors are about");
      }
      const bool quantised = !begun && target->second.quantised;
      if (!begun && !quantised) {
        const auto data = base_->data(base_->info(name));
        now.assign(data.begin(), data.end());
      }
      begun = true;
      now = edited(target->second, quantised, now);
      const std::string hash = Sha256::hex(now);
      if (hash != change->second.after) {
        return wrong(name, "made again from the base it has SHA-256 " + hash +
                               ", the commit wrote " + change->second.after);
      }
    }
    ++found_.derived;
  }

  void check_base() const {
    const auto hashes = hashes_of(plans_.front(), at::get_num_threads());
    for (const auto& [name, change] : steps_.front().tensors) {
      const auto found = hashes.find(name);
      TORCH_CHECK_VALUE(found != hashes.end() && found->second == change.before, "base ",
                        base_->path().string(), ": tensor '", name,
                        "' is not the one that the edit was committed to, whose SHA-256 is ",
                        change.before);
    }
  }

  // What no step edited must be the base's; what quantised tensors were is told by the plan.
  void check_others() {
    std::set<std::string> known;
    for (const auto& [name, after] : last_) known.insert(name);
    for (size_t i = 0; i < steps_.size(); ++i) head(steps_[i].added, plans_[i].embedding, known);
    for (const TensorInfo& info : base_->tensors()) {
      const auto other = plans_.front().replaced.find(info.name);
      const bool replaced =
          steps_.front().dequantised > 0 && other != plans_.front().replaced.end();
      const std::string& name = replaced ? other->second : info.name;
      if (name.empty() || !known.insert(name).second) continue;
      replaced ? dequantised(name) : compare(name, base_->data(info), info.dtype, info.shape);
    }
    for (const TensorInfo& info : folder_->tensors()) {
      if (!known.contains(info.name)) wrong(info.name, "is not in the base");
    }
  }

  // An unembedding that was untied is what the base's embedding is.
  void head(const std::string& added, const TensorInfo& embedding, std::set<std::string>& known) {
    if (added.empty() || !known.insert(added).second) return;
    compare(added, base_->data(embedding), embedding.dtype, embedding.shape);
  }

  void dequantised(const std::string& name) {
    const CommitTarget& target = plans_.front().targets.at(name);
    compare(name, edited(target, true, {}), target.info.dtype, target.info.shape);
  }

  void compare(const std::string& name, std::span<const std::byte> expected, Dtype dtype,
               const std::vector<int64_t>& shape) {
    if (!folder_->contains(name)) return wrong(name, "is missing");
    const TensorInfo& info = folder_->info(name);
    ++found_.untouched;
    if (info.dtype != dtype || info.shape != shape ||
        !std::ranges::equal(folder_->data(info), expected)) {
      wrong(name, "differs from the base's, though no commit edited it");
    }
    if (progress_) progress_->step(static_cast<int64_t>(info.bytes()));
    folder_->map(info.file)->release(info.begin, info.end);
  }

  std::shared_ptr<Checkpoint> folder_, base_;
  std::vector<RecordStep> steps_;
  Progress* progress_;
  std::map<std::string, std::string> last_;  // tensor -> SHA-256 after the last step
  std::vector<CommitPlan> plans_;
  Recheck found_;
};

}  // namespace

Recheck recheck(const std::filesystem::path& folder,
                const std::optional<std::filesystem::path>& base, Progress* progress) {
  return Checker(folder, base, progress).run();
}

}  // namespace lenswright
