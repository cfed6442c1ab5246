#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "merge/memory.h"
#include "merge/run.h"
#include "merge/tensor_run.h"

namespace lenswright {

/// Carries out the tensors of a plan. Every thread takes the next tile of the tensor that was begun
/// first; where all its tiles are taken, one of the next tensor, so that no thread waits while
/// another ends a pass.
class Running {
 public:
  /// What a caller does with a tensor; from any thread.
  struct Hands {
    std::function<Sink(size_t job)> sink_of;
    std::function<void(size_t job)> copy;
    std::function<bool(size_t job)> skip = {};  // it is there already
    std::function<void(size_t job, uint64_t sum)> done = {};
  };

  Running(const MergePlan& plan, const Memory& memory, Hands hands, Progress* progress);

  std::vector<TensorNote> run();

 private:
  struct Open {
    Open(const MergePlan& plan, size_t number, Sink to)
        : job(number),
          run(plan.jobs[number], plan.options),
          sink(std::move(to)),
          tiles(run.tiles()) {}
    size_t job;
    TensorRun run;
    Sink sink;
    int64_t tiles, next = 0, done = 0;  // of the present pass; all taken while it ends
  };
  using Lock = std::unique_lock<std::mutex>;

  void work(Desk& desk);
  void step(Desk& desk, Lock& lock);
  void tile(Open& tensor, Desk& desk, Lock& lock);
  void begin(size_t job, Desk& desk, Lock& lock);
  void whole(size_t job, Desk& desk);
  void note(const Open& tensor);
  bool shared(size_t job) const;
  bool may_begin() const;
  bool finished() const;

  const MergePlan& plan_;
  const Memory& memory_;
  const Hands hands_;
  Progress* progress_;

  std::mutex mutex_;  // of all that follows
  std::condition_variable changed_;
  std::list<Open> open_;
  size_t next_ = 0;    // job
  uint64_t held_ = 0;  // by what is open
  int beginning_ = 0;  // threads that may open another
  bool stopped_ = false;
  std::vector<TensorNote> notes_;
};

}  // namespace lenswright
