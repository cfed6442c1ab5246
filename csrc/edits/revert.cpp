#include "edits/revert.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <deque>
#include <functional>

#include "base/parallel.h"
#include "base/sha256.h"
#include "edits/commit.h"
#include "edits/commit_plan.h"
#include "edits/model_card.h"
#include "edits/record.h"
#include "edits/revert_job.h"
#include "io/folder.h"
#include "io/writer.h"

namespace lenswright {
namespace {

namespace fs = std::filesystem;

using Task = std::function<void()>;

RecordStep last_step(const Checkpoint& folder) {
  RecordStep step = read_record(folder).back();
  TORCH_CHECK_VALUE(!step.journal.empty(), "folder ", folder.folder().string(),
                    " was committed without a journal, expected commit(..., journal=True)");
  const auto files = folder.other_files();
  if (std::ranges::count(files, step.journal) == 0) {
    throw CheckpointError(Flaw::layout, step.journal,
                          "is missing: without it there is no way back");
  }
  return step;
}

class Revert {
 public:
  Revert(std::shared_ptr<Checkpoint> edited, RecordStep step, FolderWriter& out, Progress* progress)
      : edited_(std::move(edited)),
        step_(std::move(step)),
        journal_(edited_->file(step_.journal)),
        plan_(plan_commit(*step_.edit, edited_->folder())),
        out_(out),
        progress_(progress) {
    const Json& about = journal_.about();
    if (about.at("format").as_string() != "lenswright journal 1" ||
        about.at("edit").as_string() != step_.id || about.at("slab").as_int() != kSlabBytes) {
      journal_.refuse("is of another edit or another version");
    }
  }

  Reverted run() {
    check_edited();
    copy_files();
    std::vector<Task> tasks;
    int64_t bytes = 0;
    for (const auto& [shard, header] : journal_.about().at("shards").items()) {
      FileWriter& file =
          out_.shard(shard, header.is_null() ? edited_->header_bytes(shard) : text(header));
      for (const TensorInfo& tensor : file.tensors()) {
        bytes += static_cast<int64_t>(tensor.bytes());
        start(tensor, file, tasks);
      }
    }
    if (progress_) progress_->set_total(bytes);
    parallel_for(static_cast<int64_t>(tasks.size()), at::get_num_threads(),
                 [&](int64_t i) { tasks[static_cast<size_t>(i)](); });
    for (const RevertJob& job : jobs_) job.check();
    for (const KeptJob& job : kept_) job.check();
    out_.commit(progress_);
    if (progress_) progress_->finish();
    done_.restored = jobs_.size() + kept_.size();
    done_.steps_left = read_steps_left();
    return done_;
  }

 private:
  // Before the first byte is written: a tensor that is not what was committed leads nowhere.
  void check_edited() const {
    const auto hashes = hashes_of(plan_, at::get_num_threads());
    for (const auto& [name, json] : journal_.about().at("tensors").items()) {
      const auto found = hashes.find(name);
      if (found != hashes.end() && found->second == json.at("after").as_string()) continue;
      const std::string file = edited_->contains(name) ? edited_->info(name).file : "";
      throw CheckpointError(Flaw::changed, file, "is not what the commit wrote", name);
    }
  }

  std::string text(const Json& json) const {
    const int64_t piece = json.at("piece").as_int();
    if (piece < 0) journal_.refuse("has no piece " + std::to_string(piece));
    const std::string text = journal_.text(static_cast<size_t>(piece));
    if (Sha256::hex(std::as_bytes(std::span(text))) != json.at("sha256").as_string()) {
      journal_.refuse("is damaged: " + json.where() + " has another SHA-256");
    }
    return text;
  }

  void copy_files() {
    for (const std::string& name : edited_->other_files()) {
      const bool ours = name == kRecord || name == step_.journal || (name == kCard && step_.card);
      if (!ours) out_.copy_file(edited_->file(name), name);
    }
    for (const auto& [name, json] : journal_.about().at("files").items()) {
      out_.write_text(name, text(json));
    }
  }

  void start(const TensorInfo& tensor, FileWriter& file, std::vector<Task>& tasks) {
    const Json &edited = journal_.about().at("tensors"), kept = journal_.about().at("kept");
    if (edited.contains(tensor.name)) {
      edit(tensor, edited.at(tensor.name), file, tasks);
    } else if (kept.contains(tensor.name)) {
      KeptJob& job = kept_.emplace_back(tensor, journal_, kept.at(tensor.name), file);
      for (int64_t i = 0; i < job.slabs(); ++i) {
        tasks.emplace_back([this, &job, i] { job.write(i, progress_); });
      }
    } else {
      ++done_.carried;
      copy(tensor, file, tasks);
    }
  }

  void edit(const TensorInfo& tensor, const Json& json, FileWriter& file,
            std::vector<Task>& tasks) {
    const CommitTarget& target = plan_.targets.at(tensor.name);  // check_edited has seen it
    check_form(tensor, target.info);
    RevertJob& job = jobs_.emplace_back(*edited_, target, journal_, json, file);
    for (size_t segment = 0; segment < job.segments(); ++segment) {
      for (int64_t i = 0; i < job.slabs(segment); ++i) {
        tasks.emplace_back([this, &job, segment, i] { job.write(segment, i, progress_); });
      }
    }
  }

  void copy(const TensorInfo& tensor, FileWriter& file, std::vector<Task>& tasks) {
    const TensorInfo& from = edited_->info(tensor.name);
    check_form(tensor, from);
    const auto map = edited_->map(from.file);
    tasks.emplace_back([this, map, &from, &file] {
      map->check_unchanged();
      file.copy(from.name, map->descriptor(), from.begin, from.bytes(), progress_);
    });
  }

  static void check_form(const TensorInfo& before, const TensorInfo& now) {
    if (before.dtype == now.dtype && before.shape == now.shape) return;
    throw CheckpointError(Flaw::changed, now.file, "has another type or shape than was committed",
                          now.name);
  }

  size_t read_steps_left() const {
    const Json files = journal_.about().at("files");
    if (!files.contains(kRecord)) return 0;
    return Json::parse(text(files.at(kRecord)), kRecord).at("steps").size();
  }

  std::shared_ptr<Checkpoint> edited_;
  RecordStep step_;
  UndoReader journal_;
  CommitPlan plan_;
  FolderWriter& out_;
  Progress* progress_;
  std::deque<RevertJob> jobs_;
  std::deque<KeptJob> kept_;
  Reverted done_;
};

}  // namespace

Reverted revert(const fs::path& folder, const std::optional<fs::path>& output, Progress* progress) {
  const auto edited = Checkpoint::open(folder);
  RecordStep step = last_step(*edited);
  std::optional<FolderWriter> out;
  if (output) {
    const std::vector<fs::path> inputs = {edited->folder()};
    out.emplace(*output, inputs);
  } else {
    check_in_place(*edited);
    out.emplace(InPlace{edited->folder()});
  }
  return Revert(edited, std::move(step), *out, progress).run();
}

}  // namespace lenswright
