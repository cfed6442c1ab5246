#include "merge/tensor_run.h"

#include <algorithm>

#include "base/narrow.h"
#include "base/widen.h"
#include "merge/journal.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

Task task_of(const Job& job, const MergeOptions& options, bool draws = true) {
  Task task;
  task.tensor = job.name;
  task.shape = Shape2::of(job.shape);
  task.matrix = job.shape.size() > 1;
  task.inputs = job.operands.size();
  task.base = job.base;
  task.mode = options.mode;
  task.values = job.values;
  for (const Operand& operand : job.operands) task.own.push_back(operand.own);
  task.seed = options.seed;
  task.solver = &options.solver;
  if (job.method->random) {
    task.streams = draws ? streams_of(job) : std::vector<uint64_t>(job.operands.size());
  }
  return task;
}

// Whether a row is the mean of the others.
bool is_mean(const RowMap& map, int64_t row) {
  if (map.own[static_cast<size_t>(row)] >= 0) return false;
  const auto from = map.others.find(row);
  return from != map.others.end() &&
         std::ranges::any_of(from->second, [](const RowMap::From& one) { return one.row < 0; });
}

}  // namespace

TensorRun::TensorRun(const Job& job, const MergeOptions& options)
    : job_(job),
      means_(std::make_unique<Mean[]>(job.operands.size())),
      work_(job.method->start(task_of(job, options))),
      shape_(Shape2::of(job.shape)),
      tiling_(shape_, work_->cut(0)) {}

bool TensorRun::next() {
  if (writes()) return false;
  if (!work_->finish(pass_)) ++pass_;
  tiling_ = Tiling(shape_, work_->cut(pass_));
  return true;
}

void TensorRun::set_up(Desk& desk) const {
  const auto longest = static_cast<size_t>(tiling_.longest());
  const size_t inputs = job_.operands.size();
  const auto grow = [&](std::vector<std::vector<double>>& lists, size_t count) {
    if (lists.size() < count) lists.resize(count);
    for (size_t i = 0; i < count; ++i) {
      if (lists[i].size() < longest) lists[i].resize(longest);
    }
  };
  grow(desk.x, inputs);
  grow(desk.room, inputs + 3);
  if (desk.out.size() < longest) desk.out.resize(longest);
  if (desk.raw.size() < inputs) desk.raw.resize(inputs);
}

void TensorRun::tile(int64_t index, Desk& desk, const Sink& sink) {
  if (!writes() && !work_->wants(pass_, index)) return;
  set_up(desk);
  std::vector<const std::byte*> start(job_.operands.size());
  if (tiling_.contiguous()) load_tile(index, desk, start);
  std::vector<const double*> x;
  std::vector<double*> room;
  for (size_t i = 0; i < job_.operands.size(); ++i) x.push_back(desk.x[i].data());
  for (auto& list : desk.room) room.push_back(list.data());
  const int64_t strips = tiling_.strips(index), first = tiling_.tile(index).first;
  const auto size = static_cast<uint64_t>(element_bytes(job_.dtype));
  int64_t done = 0, not_finite = 0;
  for (int64_t s = 0; s < strips; ++s) {
    const Run run = tiling_.strip(index, s);
    for (size_t i = 0; i < x.size(); ++i) {
      const std::byte* from = start[i];
      if (from) from += (run.first - first) * element_bytes(job_.operands[i].info->dtype);
      load(i, run, from, desk, desk.x[i].data());
    }
    const Strip strip{run.first, run.count, s == 0, x, room};
    if (!writes()) {
      work_->read(pass_, index, strip);
      continue;
    }
    work_->write(index, strip, desk.out.data());
    const auto needed = static_cast<size_t>(done + run.count) * size;
    if (desk.bytes.size() < needed) desk.bytes.resize(needed);
    std::byte* const bytes = desk.bytes.data() + done * size;
    narrow(job_.dtype, desk.out.data(), run.count, bytes);
    not_finite += count_not_finite(job_.dtype, bytes, run.count);
    done += run.count;
  }
  if (!writes()) return;
  not_finite_ += not_finite;
  const std::span<const std::byte> bytes(desk.bytes.data(), static_cast<size_t>(done) * size);
  const uint64_t offset = static_cast<uint64_t>(first) * size;
  sum_ += checksum(offset, bytes);
  sink(offset, bytes);
}

// All of a tile's bytes in one read for each operand.
void TensorRun::load_tile(int64_t index, Desk& desk, std::vector<const std::byte*>& start) const {
  const Run run = tiling_.tile(index);
  for (size_t i = 0; i < job_.operands.size(); ++i) {
    const Operand& operand = job_.operands[i];
    if (operand.rows) continue;
    const auto size = static_cast<uint64_t>(element_bytes(operand.info->dtype));
    const uint64_t bytes = static_cast<uint64_t>(run.count) * size;
    if (desk.raw[i].size() < bytes) desk.raw[i].resize(bytes);
    start[i] = operand.input->read(*operand.info, static_cast<uint64_t>(run.first) * size, bytes,
                                   desk.raw[i].data());
  }
}

void TensorRun::load(size_t index, Run run, const std::byte* bytes, Desk& desk, double* out) const {
  const Operand& operand = job_.operands[index];
  if (operand.rows) return load_rows(index, run, desk, out);
  if (bytes == nullptr) {
    const auto size = static_cast<uint64_t>(element_bytes(operand.info->dtype));
    const uint64_t count = static_cast<uint64_t>(run.count) * size;
    if (desk.raw[index].size() < count) desk.raw[index].resize(count);
    bytes = operand.input->read(*operand.info, static_cast<uint64_t>(run.first) * size, count,
                                desk.raw[index].data());
  }
  widen_from(operand, bytes, run.count, out);
}

void TensorRun::widen_from(const Operand& operand, const std::byte* bytes, int64_t count,
                           double* out) const {
  widen(operand.info->dtype, bytes, count, out);
  if (!operand.cast) return;
  thread_local std::vector<std::byte> cast;
  const auto size = static_cast<size_t>(count * element_bytes(*operand.cast));
  if (cast.size() < size) cast.resize(size);
  narrow(*operand.cast, out, count, cast.data());
  widen(*operand.cast, cast.data(), count, out);
}

// Row by row: each from where the map says.
void TensorRun::load_rows(size_t index, Run run, Desk& desk, double* out) const {
  const int64_t length = job_.numel() / job_.shape.front();
  const RowMap& map = *job_.operands[index].rows;
  const auto read = [&](const Operand& from, int64_t row, int64_t column, int64_t count,
                        double* to) {
    const auto size = static_cast<uint64_t>(element_bytes(from.info->dtype));
    const uint64_t bytes = static_cast<uint64_t>(count) * size;
    if (desk.raw[index].size() < bytes) desk.raw[index].resize(bytes);
    const uint64_t offset = static_cast<uint64_t>(row * length + column) * size;
    widen_from(from, from.input->read(*from.info, offset, bytes, desk.raw[index].data()), count,
               to);
  };
  std::vector<double> other;
  for (int64_t done = 0; done < run.count;) {
    const int64_t row = (run.first + done) / length, column = (run.first + done) % length;
    const int64_t count = std::min(run.count - done, length - column);
    double* to = out + done;
    done += count;
    const int64_t own = map.own[static_cast<size_t>(row)];
    if (own >= 0) {
      read(job_.operands[index], own, column, count, to);
      continue;
    }
    std::fill(to, to + count, 0.0);
    const auto from = map.others.find(row);
    if (from == map.others.end() || from->second.empty()) continue;
    other.resize(static_cast<size_t>(count));
    for (const RowMap::From& one : from->second) {
      if (one.row < 0) {
        add_scaled(1.0, mean_row(one.operand, desk).data() + column, count, to);
        continue;
      }
      read(job_.operands[one.operand], one.row, column, count, other.data());
      add_scaled(1.0, other.data(), count, to);
    }
    divide(static_cast<double>(from->second.size()), count, to);
  }
}

// Of what this operand says of the result's tokens, its own and those it has of others.
const std::vector<double>& TensorRun::mean_row(size_t index, Desk& desk) const {
  Mean& mean = means_[index];
  std::call_once(mean.once, [&] {
    const RowMap& map = *job_.operands[index].rows;
    const int64_t length = job_.numel() / job_.shape.front();
    std::vector<double> row(static_cast<size_t>(length));
    mean.values.assign(row.size(), 0.0);
    int64_t count = 0;
    for (int64_t r = 0; r < std::ssize(map.own); ++r) {
      if (is_mean(map, r)) continue;
      load_rows(index, {r * length, length}, desk, row.data());
      add_scaled(1.0, row.data(), length, mean.values.data());
      ++count;
    }
    if (count > 0) divide(static_cast<double>(count), length, mean.values.data());
  });
  return mean.values;
}

Tiling TensorRun::written_tiles(const Job& job, const MergeOptions& options) {
  const auto work = job.method->start(task_of(job, options, false));
  return {Shape2::of(job.shape), work->cut(work->passes())};
}

TensorRun::Needs TensorRun::needs(const Job& job, const MergeOptions& options) {
  const Shape2 shape = Shape2::of(job.shape);
  const auto work = job.method->start(task_of(job, options, false));
  const auto inputs = static_cast<uint64_t>(job.operands.size());
  Needs out;
  out.held = work->held();
  for (int pass = 0; pass <= work->passes(); ++pass) {
    const Tiling tiling(shape, work->cut(pass));
    if (tiling.tiles() == 0) continue;
    const uint64_t longest = static_cast<uint64_t>(tiling.longest()) * sizeof(double);
    // Columns and samples are read strip by strip.
    const uint64_t read = tiling.contiguous()
                              ? static_cast<uint64_t>(tiling.tile(0).count) * sizeof(double)
                              : longest;
    out.desk = std::max(out.desk, (2 * inputs + 4) * longest + (inputs + 1) * read);
  }
  // The mean of an operand's rows, where a row of the output may ask for it.
  for (const Operand& operand : job.operands) {
    if (operand.rows) out.held += static_cast<uint64_t>(shape.cols) * sizeof(double);
  }
  return out;
}

}  // namespace lenswright
