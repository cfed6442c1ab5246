#include "edits/commit_estimate.h"

#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "base/sha256.h"
#include "edits/commit_plan.h"
#include "edits/segments.h"
#include "io/open_file.h"
#include "io/writer.h"

namespace lenswright {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSample = int64_t{64} << 20;  // bytes that are written to time the disk
constexpr int64_t kSlabs = 8;                   // that are edited to time the processor
constexpr int64_t kBeside = int64_t{8} << 20;   // of plan, headers, threads

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// A matrix that is edited, and the tensor it lies in.
struct Sample {
  const CommitTarget* target = nullptr;
  Segment segment;

  StoredMatrix matrix(const Checkpoint& checkpoint) const {
    const TensorInfo& info = target->info;
    if (target->quantised) return segment.piece->matrix(*target->quantised, info.shape);
    return segment.piece->matrix(info.dtype, info.shape, checkpoint.data(info).data());
  }
};

// The largest, as most of the time goes there.
Sample largest(const CommitPlan& plan) {
  Sample found;
  for (const auto& [name, target] : plan.targets) {
    for (const Segment& segment : segments_of(target.info, target.change.pieces)) {
      if (segment.piece && segment.bytes() > found.segment.bytes()) found = {&target, segment};
    }
  }
  return found;
}

// Seconds a byte of an edited matrix takes one thread.
double pace_of_editing(const CommitPlan& plan) {
  const Sample sample = largest(plan);
  if (!sample.target) return 0;
  const Segment& segment = sample.segment;
  std::optional<EditedMatrix> matrix;
  const StoredMatrix source = sample.matrix(*plan.checkpoint);
  const double first = seconds_of([&] { matrix.emplace(source, segment.piece->factors, 1); });
  const int64_t slabs = std::min(kSlabs, segment.slabs());
  int64_t bytes = 0;
  const double then = seconds_of([&] {
    for (int64_t slab = 0; slab < slabs; ++slab) {
      std::vector<std::byte> to(static_cast<size_t>(segment.rows_of(slab) * segment.row_bytes));
      matrix->write(slab * segment.step, segment.rows_of(slab), to.data());
      Sha256 sha;
      sha.update(to);
      bytes += static_cast<int64_t>(to.size());
    }
  });
  return first / static_cast<double>(segment.bytes()) + then / static_cast<double>(bytes);
}

// Seconds that writing so many bytes takes the disk.
double time_of_writing(FolderWriter& beside, int64_t bytes) {
  const int64_t sample = std::min(bytes, kSample);
  if (sample == 0) return 0;
  const std::vector<std::byte> piece(static_cast<size_t>(std::min(sample, kSlabBytes)),
                                     std::byte{0x5a});
  const OpenFile file = beside.create("sample");
  const double taken = seconds_of([&] {
    for (int64_t at = 0; at < sample; at += kSlabBytes) {
      const auto size = static_cast<size_t>(std::min(kSlabBytes, sample - at));
      write_at(file.get(), static_cast<uint64_t>(at), std::span(piece).first(size));
    }
    ::fsync(file.get());
  });
  return taken * static_cast<double>(bytes) / static_cast<double>(sample);
}

// What each thread holds of slabs and rows, and VᵀW of the matrices that are begun.
int64_t memory_of(const CommitPlan& plan, bool journal, int threads) {
  int64_t thread = 0, factors = 0;
  std::vector<int64_t> along;
  for (const auto& [name, target] : plan.targets) {
    for (const Segment& segment : segments_of(target.info, target.change.pieces)) {
      if (!segment.piece) continue;
      const FactorSpans& f = segment.piece->factors;
      const StoredMatrix matrix =
          segment.piece->matrix(target.info.dtype, target.info.shape, nullptr);
      const int64_t rows = matrix.columns * (target.quantised ? 32 : 1) * 8;
      const int64_t slab = segment.step * segment.row_bytes;
      thread = std::max(thread, slab + rows + (journal ? slab + 3 * rows : 0));
      factors += static_cast<int64_t>(
          8 * (f.s.size() + f.u.size() + f.v.size() + f.c.size() + f.a.size() + f.b.size()));
      const bool down = segment.piece->residual_axis == 0;
      const int64_t outputs = down ? matrix.rows : matrix.columns;
      const int64_t rank = outputs == 0 ? 0 : static_cast<int64_t>(f.u.size()) / outputs;
      along.push_back(down ? rank * matrix.columns * 8 * (journal ? 3 : 1) : 0);
    }
  }
  std::ranges::sort(along, std::greater());
  int64_t begun = 0;
  for (size_t i = 0; i < along.size() && i < 2 * static_cast<size_t>(threads) + 1; ++i) {
    begun += along[i];
  }
  // The factors are written down as text, whole.
  return kBeside + threads * thread + begun + 8 * factors;
}

}  // namespace

CommitEstimate estimate_commit(const Edit& edit, const fs::path& input, const fs::path& output,
                               const CommitOptions& options) {
  const CommitPlan plan = plan_commit(edit, input);
  const fs::path folder = plan.checkpoint->folder();
  if (options.in_place) check_in_place(*plan.checkpoint);
  const fs::path target =
      options.in_place ? fs::path(fs::canonical(folder).string() + "-sample") : output;
  const std::vector<fs::path> inputs = {folder};
  FolderWriter beside(target, inputs);
  const int threads = at::get_num_threads();
  CommitEstimate found;
  found.seconds = seconds_of([&] { check_bases(plan, threads); });
  for (const auto& [name, one] : plan.targets) {
    const auto bytes = static_cast<int64_t>(one.info.bytes());
    found.edited_bytes += bytes;
    found.dequantised += one.quantised ? 1 : 0;
    found.read_bytes += one.change.pieces.empty() ? 0 : bytes;
  }
  found.writers = edit.parts().size();
  found.tensors = plan.targets.size();
  found.written_bytes = plan.bytes();
  found.read_bytes += found.written_bytes;
  found.unties = plan.unties;
  found.free_bytes = static_cast<int64_t>(fs::space(fs::absolute(target).parent_path()).available);
  found.memory_bytes = memory_of(plan, options.journal || options.in_place, threads);
  found.seconds += pace_of_editing(plan) * static_cast<double>(found.edited_bytes) / threads +
                   time_of_writing(beside, found.written_bytes);
  return found;
}

}  // namespace lenswright
