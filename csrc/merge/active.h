#pragma once

#include "merge/work.h"

namespace lenswright {

/// RAM (Reinforced Agent Merging): where |x_i - base| > epsilon in one model only, its difference
/// is taken whole; where in several, their mean. `scaled`: RAM+, which enlarges what is a model's
/// own by 1 + r · clip(shared / own, 0, alpha), counted tensor by tensor.
class ActiveWork final : public Work {
 public:
  ActiveWork(const Task& task, bool scaled);

  int passes() const override { return scaled_ ? 1 : 0; }
  void read(int pass, int64_t tile, const Strip& strip) override;
  bool finish(int pass) override;
  void write(int64_t tile, const Strip& strip, double* out) override;
  uint64_t held() const override;

 private:
  struct Counts {
    explicit Counts(size_t models) : own(models), shared(models) {}
    std::vector<int64_t> own, shared;  // elements, by model
  };
  const double* active(const Strip& strip) const;
  std::vector<const double*> inputs(const Strip& strip) const;

  const Task task_;
  const std::vector<size_t> models_;
  const double epsilon_;
  const bool scaled_;
  std::vector<Counts> counts_;   // by tile
  std::vector<double> factors_;  // of what is a model's own
};

}  // namespace lenswright
