#include "merge/run.h"

#include <cstring>
#include <set>

#include "io/writer.h"
#include "merge/journal.h"
#include "merge/running.h"

namespace lenswright {
namespace {

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

void forget(const Job& job) {
  for (const Operand& operand : job.operands) operand.input->forget(*operand.info);
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
                                  const SmallFiles& files, Progress* progress,
                                  const RunOptions& options) {
  const Memory memory = memory_of(plan, options.threads, options.memory);
  FolderWriter out(output, folders(plan), fingerprint(plan).substr(0, 16), options.resume);
  if (progress) progress->set_total(static_cast<int64_t>(plan.write_bytes()));
  put_small_files(plan, files, out);
  const std::vector<FileWriter*> file_of = start_shards(plan, out);
  // Where all fits into memory the page cache serves whoever reads next, else it would drop all.
  const bool floods = plan.read_bytes() + plan.write_bytes() > available_memory() / 2;
  if (floods) {
    for (FileWriter* file : std::set(file_of.begin(), file_of.end())) file->forget_written();
  }
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
    if (floods) forget(plan.jobs[job]);
  };
  const auto skip = [&](size_t job) {
    const auto it = journal.finished().find(job);
    if (it == journal.finished().end() || plan.jobs[job].copy) return false;
    if (!is_there(plan, plan.jobs[job], *file_of[job], it->second)) return false;
    file_of[job]->adopt(plan.jobs[job].name);
    if (progress) progress->step(static_cast<int64_t>(plan.jobs[job].bytes()));
    return true;
  };
  const auto done = [&](size_t job, uint64_t sum) {
    journal.add(job, sum);
    if (floods) forget(plan.jobs[job]);
  };
  std::vector<TensorNote> notes =
      Running(plan, memory, {sink_of, copy, skip, done}, progress).run();
  if (plan.shards.size() > 1) out.write_index();
  out.commit(progress);
  if (progress) progress->finish();
  return notes;
}

std::vector<TensorNote> run_merge(const MergePlan& plan,
                                  const std::vector<std::span<std::byte>>& room, Progress* progress,
                                  int threads) {
  const Memory memory = memory_of(plan, threads);
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
  std::vector<TensorNote> notes = Running(plan, memory, {sink_of, copy}, progress).run();
  if (progress) progress->finish();
  return notes;
}

}  // namespace lenswright
