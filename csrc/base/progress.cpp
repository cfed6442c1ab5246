#include "base/progress.h"

#include <utility>

namespace lenswright {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kInterval = std::chrono::milliseconds(50);

}  // namespace

Cancelled::~Cancelled() = default;

Progress::Progress(Report report, int64_t total) : report_(std::move(report)), total_(total) {}

void Progress::step(int64_t n) {
  stop_if_cancelled();
  done_ += n;
  if (!report_) return;
  if (Clock::now().time_since_epoch().count() < next_) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);  // one reporter is enough
  if (lock.owns_lock()) report_now();
}

void Progress::finish() {
  stop_if_cancelled();
  if (!report_) return;
  const std::lock_guard lock(mutex_);
  report_now();
}

void Progress::stop_if_cancelled() const {
  if (cancelled_) std::rethrow_exception(cause_);
}

void Progress::report_now() {
  stop_if_cancelled();
  try {
    if (!report_(done_, total_)) throw Cancelled();
  } catch (...) {  // whatever the caller's function throws ends the work of every thread
    cause_ = std::current_exception();
    cancelled_ = true;
    throw;
  }
  next_ = (Clock::now() + kInterval).time_since_epoch().count();
}

}  // namespace lenswright
