#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "merge/method.h"
#include "merge/work.h"

namespace lenswright {

/// Which elements of the differences to the base a method keeps, and how it rescales them.
class Sparsifier {
 public:
  virtual ~Sparsifier();
  virtual int passes() const { return 0; }
  virtual Cut cut(int pass) const;
  /// A strip of the difference of the `model`-th input that is not the base.
  virtual void read(int pass, int64_t tile, size_t model, const double* delta, int64_t n);
  /// True when a pass is needed once more: its number stays.
  virtual bool finish(int pass);
  /// Drops elements of a difference (sets them to 0) and rescales what is left where it is its way.
  virtual void apply(int64_t tile, const Strip& strip, size_t model, double* delta,
                     double* room) = 0;
  /// Bytes that it keeps between passes, at most.
  virtual uint64_t held() const;
};

/// The frame of ties, dare, breadcrumbs and della (Yadav et al. 2023, arXiv:2306.01708, of which
/// Ilharco et al. 2022, arXiv:2212.04089, is the case without dropping and electing):
///   base + lambda · Σ w_i s(x_i - base) [/ Σ w_i],
/// s the sparsifier; with `elect` only terms whose sign is that of the sum take part, element by
/// element (where the sum is 0, the positive ones), in the divisor, too.
class TaskVectors : public Work {
 public:
  /// `l1`: what the sparsifier leaves is rescaled to the size (Σ |δ|) it had before.
  TaskVectors(const Task& task, std::unique_ptr<Sparsifier> sparsifier, bool elect, bool l1);

  int passes() const override { return sparsifier_->passes() + (l1_ ? 1 : 0); }
  Cut cut(int pass) const override;
  void read(int pass, int64_t tile, const Strip& strip) override;
  bool finish(int pass) override;
  void write(int64_t tile, const Strip& strip, double* out) override;
  uint64_t held() const override;

 private:
  struct Sizes {
    double before = 0, after = 0;
  };
  void sum_sizes(int64_t tile, const Strip& strip);
  void mix(const Strip& strip, double* out) const;

  const Task task_;
  const std::vector<size_t> models_;
  const std::unique_ptr<Sparsifier> sparsifier_;
  const bool elect_, l1_, normalize_;
  const double lambda_;
  std::vector<double> weights_, factors_;
  std::vector<std::vector<Sizes>> sizes_;  // by tile, by model
};

/// The work of a method that draws what it keeps. Strict divides what is kept by its probability,
/// as the papers do; compat restores the sum of sizes, as mergekit does.
template <typename Drawing>
std::unique_ptr<Work> drawn(const Task& task, bool elect) {
  const bool rescale = task.values.flag("rescale"), strict = task.mode == Mode::strict;
  auto sparsifier = std::make_unique<Drawing>(task, rescale && strict);
  return std::make_unique<TaskVectors>(task, std::move(sparsifier), elect, rescale && !strict);
}

/// The work of a method that ranks by size; `rescale` restores the sum of sizes.
std::unique_ptr<Work> ranked(const Task& task, std::unique_ptr<Sparsifier> sparsifier, bool elect);

/// What every method of this frame takes; `normalize` and `rescale` say what is on by default.
std::vector<Parameter> task_vector_parameters(bool normalize, bool rescale);

/// Likewise of one that drops elements: `density`, and what `more` it takes.
std::vector<Parameter> sparse_parameters(bool normalize, bool rescale,
                                         std::vector<Parameter> more = {});

/// k of `density` of a tensor, as mergekit counts: towards zero.
int64_t kept_count(double density, int64_t count);

}  // namespace lenswright
