#include "edits/commit.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>

#include "base/parallel.h"
#include "edits/commit_plan.h"
#include "edits/config_text.h"
#include "edits/ordered_hash.h"
#include "io/writer.h"

namespace lenswright {
namespace {

constexpr int64_t kSlab = int64_t{1} << 20;  // bytes of a tensor that one thread works on at a time
constexpr const char* kRecord = "lenswright.json";

// One tensor on its way through the kernel, in slabs that any thread may take.
class Job {
 public:
  Job(const CommitPlan& plan, const CommitTarget& target, FileWriter& file)
      : checkpoint_(*plan.checkpoint),
        target_(target),
        file_(file),
        source_(target.matrix(checkpoint_)) {
    step_ = std::max<int64_t>(1, kSlab / std::max<int64_t>(1, source_.row_bytes()));
    left_ = slabs();
  }

  int64_t slabs() const { return (source_.rows + step_ - 1) / step_; }
  std::string hash() const { return hash_.hex(); }

  void prepare() {
    std::call_once(prepared_, [&] {
      checkpoint_.map(target_.info.file)->check_unchanged();
      matrix_.emplace(source_, target_.factors, 1);
    });
  }

  void slab(int64_t index, Progress* progress) {
    try {
      prepare();
      const int64_t first = index * step_, count = std::min(step_, source_.rows - first);
      const auto size = static_cast<size_t>(count * source_.row_bytes());
      const auto buffer = std::make_unique_for_overwrite<std::byte[]>(size);
      const std::span<const std::byte> bytes(buffer.get(), size);
      matrix_->write(first, count, buffer.get());
      file_.pwrite(target_.info.name, static_cast<uint64_t>(first * source_.row_bytes()), bytes);
      if (progress) progress->step(static_cast<int64_t>(bytes.size()));
      hash_.add(index, bytes);
    } catch (...) {
      hash_.fail(std::current_exception());
      throw;
    }
    if (--left_ > 0) return;
    matrix_.reset();
    checkpoint_.map(target_.info.file)->release(target_.info.begin, target_.info.end);
  }

 private:
  const Checkpoint& checkpoint_;
  const CommitTarget& target_;
  FileWriter& file_;
  StoredMatrix source_;
  int64_t step_ = 1;
  std::once_flag prepared_;
  std::optional<EditedMatrix> matrix_;
  OrderedHash hash_;
  std::atomic<int64_t> left_;
};

using Task = std::function<void()>;

class Commit {
 public:
  Commit(const Edit& edit, CommitPlan plan, FolderWriter& out, Progress* progress)
      : edit_(edit),
        plan_(std::move(plan)),
        out_(out),
        progress_(progress),
        threads_(at::get_num_threads()) {}

  Committed run() {
    const auto before = check_bases(plan_, threads_);
    copy_files();
    std::vector<Task> tasks;
    for (const std::string& shard : plan_.checkpoint->shards()) start(shard, tasks);
    const std::vector<Task> all = with_preparation(std::move(tasks));
    parallel_for(static_cast<int64_t>(all.size()), threads_, [&](int64_t i) { all[i](); });
    Committed done{{}, plan_.head, plan_.checkpoint->unused_weights()};
    for (const auto& [name, job] : jobs_by_name_)
      done.changed[name] = {before.at(name), job->hash()};
    if (!done.changed.empty()) out_.write_text(kRecord, record(done));
    out_.commit(progress_);
    if (progress_) progress_->finish();
    return done;
  }

 private:
  void copy_files() {
    const Checkpoint& in = *plan_.checkpoint;
    for (const std::string& name : in.other_files()) {
      if (name != kRecord || plan_.targets.empty()) out_.copy_file(in.file(name), name);
    }
    if (plan_.unties) {
      const std::string config = read_text(in.file("config.json"));
      out_.write_text("config.json",
                      with_flag(config, "tie_word_embeddings", false, "config.json"));
    } else {
      out_.copy_file(in.file("config.json"), "config.json");
    }
    if (in.index_name().empty()) return;
    if (plan_.head.empty()) {
      out_.copy_file(in.file(in.index_name()), in.index_name());
    } else {
      out_.write_text(in.index_name(), index_with_head());
    }
  }

  std::string index_with_head() const {
    const Checkpoint& in = *plan_.checkpoint;
    Json index = Json::parse(read_text(in.file(in.index_name())), in.index_name());
    std::map<std::string, Json> places = {{plan_.head, plan_.embedding.file}};
    for (const auto& [name, shard] : index.at("weight_map").items()) places[name] = shard;
    Json map = Json::object();
    for (const auto& [name, shard] : places) map.set(name, shard);
    index.set("weight_map", map);
    if (index.contains("metadata")) {
      Json metadata = index.at("metadata");
      const auto grow = [&](const char* key, int64_t by) {
        if (!metadata.contains(key) || !metadata.at(key).is_integer()) return;
        metadata.set(key, metadata.at(key).as_int() + by);
      };
      grow("total_size", static_cast<int64_t>(plan_.embedding.bytes()));
      grow("total_parameters", plan_.embedding.numel());
      index.set("metadata", metadata);
    }
    return index.dump(2) + "\n";
  }

  FileWriter& open(const std::string& shard) {
    const Checkpoint& in = *plan_.checkpoint;
    if (plan_.head.empty() || plan_.embedding.file != shard) {
      return out_.shard(shard, in.header_bytes(shard));
    }
    std::vector<TensorSpec> specs;
    for (const TensorInfo& t : in.header(shard).tensors)
      specs.push_back({t.name, t.dtype, t.shape});
    specs.push_back({plan_.head, plan_.embedding.dtype, plan_.embedding.shape});
    return out_.shard(shard, specs, in.header(shard).metadata);
  }

  void start(const std::string& shard, std::vector<Task>& tasks) {
    FileWriter& file = open(shard);
    const auto map = plan_.checkpoint->map(shard);
    const auto copy = [&](const std::string& name, const TensorInfo& from) {
      tasks.push_back([this, &file, map, name, from] {
        file.copy(name, map->descriptor(), from.begin, from.bytes(), progress_);
      });
    };
    for (const TensorInfo& tensor : plan_.checkpoint->header(shard).tensors) {
      const auto target = plan_.targets.find(tensor.name);
      if (target == plan_.targets.end()) {
        copy(tensor.name, tensor);
        continue;
      }
      auto job = std::make_shared<Job>(plan_, target->second, file);
      jobs_by_name_[tensor.name] = job;
      jobs_.push_back({tasks.size(), job});
      for (int64_t i = 0; i < job->slabs(); ++i) {
        tasks.push_back([this, job, i] { job->slab(i, progress_); });
      }
    }
    if (!plan_.head.empty() && plan_.embedding.file == shard) copy(plan_.head, plan_.embedding);
  }

  // A tensor's first pass is one thread's work: it is begun while others are still in the slabs of
  // the tensors before it, so that nobody has to wait for it.
  std::vector<Task> with_preparation(std::vector<Task> tasks) const {
    std::vector<Task> all;
    size_t prepared = 0, reached = 0;
    for (size_t i = 0; i < tasks.size(); ++i) {
      if (reached < jobs_.size() && jobs_[reached].first == i) ++reached;
      for (; prepared < std::min(jobs_.size(), reached + static_cast<size_t>(threads_));
           ++prepared) {
        all.push_back([job = jobs_[prepared].second] { job->prepare(); });
      }
      all.push_back(std::move(tasks[i]));
    }
    return all;
  }

  // Edits on edits are told in order: what an earlier commit wrote is kept.
  std::string record(const Committed& done) const {
    Json step = Json::object(), tensors = Json::object(), steps = Json::array();
    for (const auto& [name, change] : done.changed) {
      Json hashes = Json::object();
      hashes.set("before", change.before);
      hashes.set("after", change.after);
      tensors.set(name, hashes);
    }
    step.set("edit", edit_.id());
    step.set("provenance", edit_.provenance());
    step.set("tensors", tensors);
    if (!done.added.empty()) step.set("added", done.added);
    const Checkpoint& in = *plan_.checkpoint;
    const auto files = in.other_files();
    if (std::find(files.begin(), files.end(), kRecord) != files.end()) {
      steps = Json::parse(read_text(in.file(kRecord)), kRecord).at("steps");
    }
    steps.push_back(step);
    Json record = Json::object();
    record.set("format", "lenswright record 1");
    record.set("steps", steps);
    return record.dump(2) + "\n";
  }

  const Edit& edit_;
  CommitPlan plan_;
  FolderWriter& out_;
  Progress* progress_;
  int threads_;
  std::vector<std::pair<size_t, std::shared_ptr<Job>>> jobs_;  // with their first task
  std::map<std::string, std::shared_ptr<Job>> jobs_by_name_;
};

}  // namespace

Committed commit(const Edit& edit, const std::filesystem::path& input,
                 const std::filesystem::path& output, Progress* progress) {
  CommitPlan plan = plan_commit(edit, input);
  const std::vector<std::filesystem::path> inputs = {plan.checkpoint->folder()};
  FolderWriter out(output, inputs);
  if (progress) progress->set_total(plan.bytes());
  return Commit(edit, std::move(plan), out, progress).run();
}

}  // namespace lenswright
