#include "merge/running.h"

#include <algorithm>

#include "merge/pool.h"

namespace lenswright {
namespace {

constexpr int64_t kSmall = 1 << 18;  // elements of a tensor that one thread does alone

}  // namespace

Running::Running(const MergePlan& plan, const Memory& memory, Hands hands, Progress* progress)
    : plan_(plan), memory_(memory), hands_(std::move(hands)), progress_(progress) {}

std::vector<TensorNote> Running::run() {
  Pool pool(memory_.threads);
  std::vector<Desk> desks(static_cast<size_t>(pool.size()));
  pool.run(pool.size(), [&](int64_t, int worker) { work(desks[static_cast<size_t>(worker)]); });
  std::ranges::sort(notes_, {}, &TensorNote::tensor);
  return std::move(notes_);
}

void Running::work(Desk& desk) {
  Lock lock(mutex_);
  try {
    while (!stopped_ && !finished()) step(desk, lock);
  } catch (...) {  // nobody may wait for a thread that has gone
    if (!lock.owns_lock()) lock.lock();
    stopped_ = true;
    changed_.notify_all();
    throw;
  }
}

void Running::step(Desk& desk, Lock& lock) {
  for (Open& tensor : open_) {
    if (tensor.next < tensor.tiles) return tile(tensor, desk, lock);
  }
  if (may_begin()) return begin(next_++, desk, lock);
  changed_.wait(lock);
}

bool Running::finished() const {
  return next_ == plan_.jobs.size() && open_.empty() && beginning_ == 0;
}

// All threads at one tensor, pass by pass.
bool Running::shared(size_t job) const {
  return !plan_.jobs[job].copy && plan_.jobs[job].numel() > kSmall;
}

bool Running::may_begin() const {
  if (next_ == plan_.jobs.size()) return false;
  if (held_ == 0) return true;
  return held_ + memory_.held[next_] <= memory_.shared;
}

void Running::begin(size_t job, Desk& desk, Lock& lock) {
  ++beginning_;
  held_ += memory_.held[job];
  lock.unlock();
  std::list<Open> opened;
  if (!hands_.skip || !hands_.skip(job)) {
    if (plan_.jobs[job].copy) {
      hands_.copy(job);
    } else if (shared(job)) {
      for (const Operand& operand : plan_.jobs[job].operands) operand.input->expect(*operand.info);
      opened.emplace_back(plan_, job, hands_.sink_of(job));
    } else {
      whole(job, desk);
    }
  }
  lock.lock();
  --beginning_;
  if (opened.empty()) held_ -= memory_.held[job];
  open_.splice(open_.end(), opened);
  changed_.notify_all();
}

void Running::whole(size_t job, Desk& desk) {
  Open tensor(plan_, job, hands_.sink_of(job));
  do {
    for (int64_t i = 0; i < tensor.run.tiles(); ++i) tensor.run.tile(i, desk, tensor.sink);
  } while (tensor.run.next());
  note(tensor);
}

void Running::tile(Open& tensor, Desk& desk, Lock& lock) {
  const int64_t index = tensor.next++;
  lock.unlock();
  tensor.run.tile(index, desk, tensor.sink);
  if (progress_) progress_->step(0);
  lock.lock();
  if (++tensor.done < tensor.tiles) return;
  lock.unlock();
  const bool more = tensor.run.next();
  if (!more) note(tensor);
  lock.lock();
  if (more) {
    tensor.next = tensor.done = 0;
    tensor.tiles = tensor.run.tiles();
  } else {
    held_ -= memory_.held[tensor.job];
    open_.remove_if([&](const Open& one) { return &one == &tensor; });
  }
  changed_.notify_all();
}

void Running::note(const Open& tensor) {
  if (hands_.done) hands_.done(tensor.job, tensor.run.sum());
  if (tensor.run.not_finite() == 0 && tensor.run.remark().empty()) return;
  const std::lock_guard lock(mutex_);
  notes_.push_back({plan_.jobs[tensor.job].name, tensor.run.not_finite(), tensor.run.remark()});
}

}  // namespace lenswright
