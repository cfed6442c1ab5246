#include "merge/run.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <set>

#include "base/parallel.h"
#include "io/writer.h"
#include "merge/journal.h"
#include "merge/pool.h"
#include "merge/tensor_run.h"

namespace lenswright {
namespace {

constexpr int64_t kSmall = 1 << 18;  // elements of a tensor that one thread does alone
constexpr size_t kTogether = 256;    // such tensors that are begun together

class Running {
 public:
  using SinkOf = std::function<Sink(size_t job)>;
  using Copy = std::function<void(size_t job)>;
  using Skip = std::function<bool(size_t job)>;  // already there
  using Done = std::function<void(size_t job, uint64_t sum)>;

  Running(const MergePlan& plan, SinkOf sink_of, Copy copy, Progress* progress, int threads)
      : plan_(plan),
        sink_of_(std::move(sink_of)),
        copy_(std::move(copy)),
        progress_(progress),
        pool_(threads),
        desks_(static_cast<size_t>(pool_.size())) {}

  std::vector<TensorNote> run(const Skip& skip = {}, Done done = {}) {
    done_ = std::move(done);
    for (size_t job = 0; job < plan_.jobs.size(); ++job) {
      if (skip && skip(job)) continue;
      const bool large = !plan_.jobs[job].copy && plan_.jobs[job].numel() > kSmall;
      if (large) {
        together(job);
      } else {
        waiting_.push_back(job);
        if (waiting_.size() == kTogether) alone();
      }
    }
    alone();
    std::ranges::sort(notes_, {}, &TensorNote::tensor);
    return std::move(notes_);
  }

 private:
  // All threads at one tensor, pass by pass.
  void together(size_t job) {
    TensorRun tensor(plan_.jobs[job], plan_.options);
    const Sink sink = sink_of_(job);
    do {
      pool_.run(tensor.tiles(), [&](int64_t tile, int worker) {
        tensor.tile(tile, desks_[static_cast<size_t>(worker)], sink);
        if (progress_) progress_->step(0);
      });
    } while (tensor.next());
    note(job, tensor);
  }

  // Every thread at small tensors of its own.
  void alone() {
    pool_.run(static_cast<int64_t>(waiting_.size()), [&](int64_t i, int worker) {
      const size_t job = waiting_[static_cast<size_t>(i)];
      if (plan_.jobs[job].copy) return copy_(job);
      TensorRun tensor(plan_.jobs[job], plan_.options);
      const Sink sink = sink_of_(job);
      do {
        for (int64_t tile = 0; tile < tensor.tiles(); ++tile) {
          tensor.tile(tile, desks_[static_cast<size_t>(worker)], sink);
        }
      } while (tensor.next());
      note(job, tensor);
    });
    waiting_.clear();
  }

  void note(size_t job, const TensorRun& tensor) {
    if (done_) done_(job, tensor.sum());
    if (tensor.not_finite() == 0 && tensor.remark().empty()) return;
    const std::lock_guard lock(mutex_);
    notes_.push_back({plan_.jobs[job].name, tensor.not_finite(), tensor.remark()});
  }

  const MergePlan& plan_;
  SinkOf sink_of_;
  Copy copy_;
  Done done_;
  Progress* progress_;
  Pool pool_;
  std::vector<Desk> desks_;
  std::vector<size_t> waiting_;
  std::mutex mutex_;  // of the notes
  std::vector<TensorNote> notes_;
};

constexpr const char* kRecord = "lenswright.json";

void put_small_files(const MergePlan& plan, const SmallFiles& files, FolderWriter& out) {
  std::set<std::string> given = {kRecord, "README.md", "mergekit_config.yml"};
  for (const auto& [name, text] : files) {
    given.insert(name);
    if (!text.empty()) out.write_text(name, text);
  }
  if (!plan.config.is_null()) out.write_text("config.json", plan.config.dump(2) + "\n");
  const Checkpoint* donor = plan.donor->checkpoint();
  if (donor == nullptr || !std::filesystem::is_directory(donor->path())) return;
  for (const std::string& name : donor->other_files()) {
    if (!given.contains(name)) out.copy_file(donor->file(name), name);
  }
}

std::vector<std::filesystem::path> folders(const MergePlan& plan) {
  std::vector<std::filesystem::path> out;
  for (const auto& input : plan.inputs) {
    for (const Checkpoint* checkpoint : input->checkpoints()) out.push_back(checkpoint->folder());
  }
  return out;
}

// Whether a tensor of an earlier process is what its journal says; read tile by tile.
bool is_there(const MergePlan& plan, const Job& job, const FileWriter& file, uint64_t expected) {
  const Tiling tiling = TensorRun::written_tiles(job, plan.options);
  const auto width = static_cast<uint64_t>(element_bytes(job.dtype));
  uint64_t sum = 0;
  std::vector<std::byte> bytes;
  for (int64_t i = 0; i < tiling.tiles(); ++i) {
    const Run run = tiling.tile(i);
    const uint64_t offset = static_cast<uint64_t>(run.first) * width;
    bytes.resize(static_cast<uint64_t>(run.count) * width);
    if (!file.read(job.name, offset, bytes)) return false;
    sum += checksum(offset, bytes);
  }
  return sum == expected;
}

std::vector<FileWriter*> start_shards(const MergePlan& plan, FolderWriter& out) {
  std::vector<FileWriter*> file_of(plan.jobs.size());
  for (const MergePlan::Shard& shard : plan.shards) {
    std::vector<TensorSpec> specs;
    for (const size_t job : shard.jobs) {
      specs.push_back({plan.jobs[job].name, plan.jobs[job].dtype, plan.jobs[job].shape});
    }
    FileWriter& file = out.shard(shard.file, specs, {{"format", "pt"}});
    for (const size_t job : shard.jobs) file_of[job] = &file;
  }
  return file_of;
}

}  // namespace

std::vector<TensorNote> run_merge(const MergePlan& plan, const std::filesystem::path& output,
                                  const SmallFiles& files, Progress* progress, int threads,
                                  bool resume) {
  FolderWriter out(output, folders(plan), fingerprint(plan).substr(0, 16), resume);
  if (progress) progress->set_total(static_cast<int64_t>(plan.write_bytes()));
  put_small_files(plan, files, out);
  const std::vector<FileWriter*> file_of = start_shards(plan, out);
  Journal journal(out.aside("journal.partial"));
  const auto sink_of = [&](size_t job) -> Sink {
    return [&, job](uint64_t offset, std::span<const std::byte> bytes) {
      file_of[job]->pwrite(plan.jobs[job].name, offset, bytes);
      if (progress) progress->step(static_cast<int64_t>(bytes.size()));
    };
  };
  const auto copy = [&](size_t job) {
    const Operand& from = plan.jobs[job].operands.front();
    const Checkpoint* holder = from.input->holder(*from.info);
    if (holder == nullptr) {  // it is in memory
      const uint64_t size = from.info->bytes();
      sink_of(job)(0, {from.input->read(*from.info, 0, size, nullptr), size});
      return;
    }
    const OpenFile source = holder->open_shard(from.info->file);
    file_of[job]->copy(plan.jobs[job].name, source.get(), from.info->begin, from.info->bytes(),
                       progress);
  };
  const auto skip = [&](size_t job) {
    const auto it = journal.finished().find(job);
    if (it == journal.finished().end() || plan.jobs[job].copy) return false;
    if (!is_there(plan, plan.jobs[job], *file_of[job], it->second)) return false;
    file_of[job]->adopt(plan.jobs[job].name);
    if (progress) progress->step(static_cast<int64_t>(plan.jobs[job].bytes()));
    return true;
  };
  const auto done = [&](size_t job, uint64_t sum) { journal.add(job, sum); };
  std::vector<TensorNote> notes = Running(plan, sink_of, copy, progress, threads).run(skip, done);
  if (plan.shards.size() > 1) out.write_index();
  out.commit(progress);
  if (progress) progress->finish();
  return notes;
}

std::vector<TensorNote> run_merge(const MergePlan& plan,
                                  const std::vector<std::span<std::byte>>& room, Progress* progress,
                                  int threads) {
  if (progress) progress->set_total(static_cast<int64_t>(plan.write_bytes()));
  const auto put = [&](size_t job, uint64_t offset, std::span<const std::byte> bytes) {
    std::memcpy(room[job].data() + offset, bytes.data(), bytes.size());
    if (progress) progress->step(static_cast<int64_t>(bytes.size()));
  };
  const auto sink_of = [&](size_t job) -> Sink {
    return
        [&put, job](uint64_t offset, std::span<const std::byte> bytes) { put(job, offset, bytes); };
  };
  const auto copy = [&](size_t job) {
    const Operand& from = plan.jobs[job].operands.front();
    std::vector<std::byte> bytes(from.info->bytes());
    put(job, 0, {from.input->read(*from.info, 0, bytes.size(), bytes.data()), bytes.size()});
  };
  std::vector<TensorNote> notes = Running(plan, sink_of, copy, progress, threads).run();
  if (progress) progress->finish();
  return notes;
}

namespace {

// What a method keeps of a whole tensor between passes: sums of its tiles, and where it selects by
// rank, a sample and what lies inside the bracket (Selection), in lists that grow by doubling.
double held_bytes(const Job& job) {
  const auto count = static_cast<double>(job.numel());
  const bool selects = job.values.has("lambda") || job.values.has("select_topk") ||
                       job.method->name == "arcee_fusion";
  if (!selects)
    return count / 1024 + static_cast<double>(job.shape.empty() ? 0 : job.shape[0]) * 64;
  const double sample = 32 * std::clamp(count / 16384, 4096.0, 65536.0);
  const double inside = std::min(count, count * 12 / std::sqrt(sample) + 1e4);
  return static_cast<double>(job.operands.size()) * 8 * (3 * sample + 2 * inside) + count / 64;
}

}  // namespace

uint64_t MergePlan::memory(int threads) const {
  threads = thread_count(threads);
  uint64_t desk = 0;
  double held = 0;
  for (const Job& job : jobs) {
    desk = std::max(desk, TensorRun::desk_bytes(job));
    held = std::max(held, held_bytes(job));
  }
  constexpr uint64_t kRest = 32u << 20;
  return kRest + desk * static_cast<uint64_t>(threads) + static_cast<uint64_t>(held);
}

}  // namespace lenswright
