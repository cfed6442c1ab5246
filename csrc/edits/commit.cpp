#include "edits/commit.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>

#include "base/error.h"
#include "base/parallel.h"
#include "edits/commit_job.h"
#include "edits/commit_journal.h"
#include "edits/commit_plan.h"
#include "edits/commit_texts.h"
#include "edits/model_card.h"
#include "edits/record.h"
#include "io/writer.h"

namespace lenswright {
namespace {

using Task = std::function<void()>;

class Commit {
 public:
  Commit(const Edit& edit, CommitPlan plan, FolderWriter& out, Progress* progress,
         const CommitOptions& options)
      : edit_(edit),
        plan_(std::move(plan)),
        out_(out),
        progress_(progress),
        options_(options),
        card_(!options.card.empty() && !plan_.targets.empty()),
        step_(recorded_steps(*plan_.checkpoint) + 1),
        threads_(at::get_num_threads()) {
    // What changes nothing needs no way back.
    if (!options.journal || plan_.targets.empty()) return;
    journal_.emplace(plan_, out_, journal_name(step_), card_);
  }

  Committed run() {
    const auto before = check_bases(plan_, threads_);
    copy_files();
    std::vector<Task> tasks;
    for (const std::string& shard : plan_.checkpoint->shards()) start(shard, tasks);
    const std::vector<Task> all = with_preparation(std::move(tasks));
    parallel_for(static_cast<int64_t>(all.size()), threads_, [&](int64_t i) { all[i](); });
    Committed done{{}, plan_.head, plan_.checkpoint->unused_weights()};
    for (const auto& [name, hash] : before) done.changed[name] = {hash, jobs_.at(name)->hash()};
    for (const auto& [name, target] : plan_.targets) done.dequantised += target.quantised ? 1 : 0;
    if (done.dequantised > 0) done.form = plan_.form;
    if (journal_) journal_->finish(edit_, done);
    done.card = card_;
    if (!done.changed.empty()) {
      out_.write_text(kRecord, record_text(*plan_.checkpoint, edit_, done, options_.measured));
    }
    out_.commit(progress_);
    if (progress_) progress_->finish();
    return done;
  }

 private:
  void copy_files() {
    const Checkpoint& in = *plan_.checkpoint;
    for (const std::string& name : in.other_files()) {
      const bool again = (name == kRecord && !plan_.targets.empty()) || (name == kCard && card_);
      if (!again) out_.copy_file(in.file(name), name);
    }
    if (card_) out_.write_text(kCard, card_text(in, options_.card, step_));
    if (plan_.unties || !plan_.replaced.empty()) {
      out_.write_text("config.json", config_text(plan_));
    } else {
      out_.copy_file(in.file("config.json"), "config.json");
    }
    if (in.index_name().empty()) return;
    if (plan_.head.empty() && plan_.replaced.empty()) {
      out_.copy_file(in.file(in.index_name()), in.index_name());
    } else {
      out_.write_text(in.index_name(), index_text(plan_));
    }
  }

  FileWriter& open(const std::string& shard) {
    const Checkpoint& in = *plan_.checkpoint;
    if (!plan_.rearranges(shard)) return out_.shard(shard, in.header_bytes(shard));
    return out_.shard(shard, plan_.contents(shard), in.header(shard).metadata);
  }

  void start(const std::string& shard, std::vector<Task>& tasks) {
    if (journal_) journal_->start(shard, tasks);
    if (plan_.contents(shard).empty()) return;  // it held scales only
    FileWriter& file = open(shard);
    const auto map = plan_.checkpoint->map(shard);
    const auto copy = [&](const std::string& name, const TensorInfo& from) {
      tasks.push_back([this, &file, map, name, from] {
        file.copy(name, map->descriptor(), from.begin, from.bytes(), progress_);
      });
    };
    for (const TensorInfo& tensor : plan_.checkpoint->header(shard).tensors) {
      const auto other = plan_.replaced.find(tensor.name);
      const std::string& name = other == plan_.replaced.end() ? tensor.name : other->second;
      if (name.empty()) continue;
      const auto target = plan_.targets.find(name);
      if (target == plan_.targets.end()) {
        copy(tensor.name, tensor);
      } else {
        edit(target->second, file, tasks);
      }
    }
    if (!plan_.head.empty() && plan_.embedding.file == shard) copy(plan_.head, plan_.embedding);
  }

  void edit(const CommitTarget& target, FileWriter& file, std::vector<Task>& tasks) {
    const auto job = std::make_shared<CommitJob>(*plan_.checkpoint, target, file,
                                                 journal_ ? &journal_->writer() : nullptr);
    jobs_[target.info.name] = job;
    for (size_t segment = 0; segment < job->segments(); ++segment) {
      begun_.push_back({tasks.size(), [job, segment] { job->prepare(segment); }});
      for (int64_t i = 0; i < job->slabs(segment); ++i) {
        tasks.push_back([this, job, segment, i] { job->write(segment, i, progress_); });
      }
    }
  }

  // A matrix's first pass is one thread's work: it is begun while others are still in the slabs of
  // the matrices before it, so that nobody has to wait for it.
  std::vector<Task> with_preparation(std::vector<Task> tasks) const {
    std::vector<Task> all;
    size_t prepared = 0, reached = 0;
    for (size_t i = 0; i < tasks.size(); ++i) {
      if (reached < begun_.size() && begun_[reached].first == i) ++reached;
      const size_t ahead = std::min(begun_.size(), reached + static_cast<size_t>(threads_));
      for (; prepared < ahead; ++prepared) all.push_back(begun_[prepared].second);
      all.push_back(std::move(tasks[i]));
    }
    return all;
  }

  const Edit& edit_;
  CommitPlan plan_;
  FolderWriter& out_;
  Progress* progress_;
  const CommitOptions& options_;
  bool card_;    // whether README.md gets a section
  size_t step_;  // which commit of the folder's it is
  int threads_;
  std::optional<CommitJournal> journal_;
  std::vector<std::pair<size_t, Task>> begun_;  // first task of a segment, and what to do before
  std::map<std::string, std::shared_ptr<CommitJob>> jobs_;  // by stored name
};

}  // namespace

void check_in_place(const Checkpoint& in) {
  std::vector<std::string> ours = in.shards();
  for (const std::string& name : in.other_files()) ours.push_back(name);
  ours.emplace_back("config.json");
  ours.push_back(in.index_name());
  for (const auto& entry : std::filesystem::directory_iterator(in.folder())) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_symlink() && std::ranges::count(ours, name) > 0) continue;
    throw std::invalid_argument("in place: the folder holds " + in_quotes(name) +
                                ", which is no file of the checkpoint's own; expected to commit to "
                                "a new folder");
  }
}

Committed commit(const Edit& edit, const std::filesystem::path& input,
                 const std::filesystem::path& output, Progress* progress,
                 const CommitOptions& options) {
  CommitPlan plan = plan_commit(edit, input);
  std::optional<FolderWriter> out;
  if (options.in_place) {
    if (!options.journal) {
      throw std::invalid_argument(
          "in place without a journal, expected journal to be true: the "
          "original is gone afterwards");
    }
    check_in_place(*plan.checkpoint);
    out.emplace(InPlace{plan.checkpoint->folder()});
  } else {
    const std::vector<std::filesystem::path> inputs = {plan.checkpoint->folder()};
    out.emplace(output, inputs);
  }
  if (progress) progress->set_total(plan.bytes());
  return Commit(edit, std::move(plan), *out, progress, options).run();
}

}  // namespace lenswright
