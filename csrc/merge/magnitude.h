#pragma once

#include <memory>
#include <vector>

#include "merge/sample.h"
#include "merge/selection.h"
#include "merge/task_vectors.h"

namespace lenswright {

/// Keeps, of each difference, the elements whose ranks by size (0: the largest; equal sizes by
/// position) lie in [from, to): all but the largest for TIES, a band for breadcrumbs.
class Magnitude final : public Sparsifier {
 public:
  struct Band {
    int64_t from = 0, to = 0;
  };
  Magnitude(const Task& task, const std::vector<Band>& bands);

  int passes() const override { return needed_ ? 2 : 0; }
  Cut cut(int pass) const override;
  void read(int pass, int64_t tile, size_t model, const double* delta, int64_t n) override;
  bool finish(int pass) override;
  void apply(int64_t tile, const Strip& strip, size_t model, double* delta, double* room) override;
  uint64_t held() const override;

 private:
  struct Model {
    Selection from, to;
    Sample sample;
  };
  Shape2 shape_;
  std::vector<Model> models_;
  bool needed_ = false;
};

/// The band of TIES: the `density` largest.
std::unique_ptr<Sparsifier> largest(const Task& task);

/// The band of breadcrumbs (Davari and Belilovsky 2023, arXiv:2312.06795): `density` of the
/// elements, the `gamma` largest left out.
std::unique_ptr<Sparsifier> without_outliers(const Task& task);

}  // namespace lenswright
