#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "merge/plan.h"
#include "merge/work.h"

namespace lenswright {

/// Where the bytes of one output tensor go; any thread, each byte once.
using Sink = std::function<void(uint64_t offset, std::span<const std::byte> bytes)>;

/// What one thread works with; grows to what the largest tensor asks for.
struct Desk {
  std::vector<std::vector<double>> x, room;
  std::vector<std::vector<std::byte>> raw;
  std::vector<double> out;
  std::vector<std::byte> bytes;
};

/// One output tensor on its way: pass after pass, tile by tile.
class TensorRun {
 public:
  TensorRun(const Job& job, const MergeOptions& options);

  /// Of the present pass.
  int64_t tiles() const { return tiling_.tiles(); }
  bool writes() const { return pass_ == work_->passes(); }
  void tile(int64_t index, Desk& desk, const Sink& sink);
  /// After every tile of a pass; false once everything is written.
  bool next();

  /// Elements written that are NaN or infinite.
  int64_t not_finite() const { return not_finite_; }
  /// Sum of the checksums of the tiles written.
  uint64_t sum() const { return sum_; }
  std::string remark() const { return work_->remark(); }

  /// The tiles in which it is written.
  static Tiling written_tiles(const Job& job, const MergeOptions& options);

  /// Bytes that a tensor needs while it is merged, at most.
  struct Needs {
    uint64_t desk = 0;  // of each thread
    uint64_t held = 0;  // between passes
  };
  static Needs needs(const Job& job, const MergeOptions& options);

 private:
  void set_up(Desk& desk) const;
  void load_tile(int64_t index, Desk& desk, std::vector<const std::byte*>& start) const;
  void load(size_t operand, Run run, const std::byte* bytes, Desk& desk, double* out) const;
  void load_rows(size_t operand, Run run, Desk& desk, double* out) const;
  void widen_from(const Operand& operand, const std::byte* bytes, int64_t count, double* out) const;

  const std::vector<double>& mean_row(size_t operand, Desk& desk) const;

  struct Mean {
    std::once_flag once;
    std::vector<double> values;
  };

  const Job& job_;
  std::unique_ptr<Mean[]> means_;  // of the rows of each operand, where one is asked for
  std::unique_ptr<Work> work_;
  Shape2 shape_;
  int pass_ = 0;
  Tiling tiling_;
  std::atomic<int64_t> not_finite_{0};
  std::atomic<uint64_t> sum_{0};
};

/// The stream of random numbers of an operand: of the tensor's name and of its values, so that it
/// depends neither on the order of the models nor on where they lie.
std::vector<uint64_t> streams_of(const Job& job);

}  // namespace lenswright
