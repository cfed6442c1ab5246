#include "merge/pool.h"

#include "base/parallel.h"

namespace lenswright {

Pool::Pool(int threads) {
  threads = thread_count(threads);
  for (int worker = 1; worker < threads; ++worker) {
    threads_.emplace_back([this, worker] { stay(worker); });
  }
}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  begin_.notify_all();
}

void Pool::stay(int worker) {
  uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      begin_.wait(lock, [&] { return leaving_ || round_ != seen; });
      if (leaving_) return;
      seen = round_;
    }
    work(worker);
    const std::lock_guard lock(mutex_);
    if (--working_ == 0) end_.notify_one();
  }
}

void Pool::work(int worker) {
  while (true) {
    int64_t index = 0;
    {
      const std::lock_guard lock(mutex_);
      if (next_ >= count_) return;
      index = next_++;
    }
    try {
      (*body_)(index, worker);
    } catch (...) {  // whatever a body throws is thrown again where run() was called
      const std::lock_guard lock(mutex_);
      if (!first_) first_ = std::current_exception();
      next_ = count_;
    }
  }
}

void Pool::run(int64_t count, const Body& body) {
  if (count <= 1 || threads_.empty()) {
    for (int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    body_ = &body;
    count_ = count;
    next_ = 0;
    working_ = static_cast<int>(threads_.size());
    first_ = nullptr;
    ++round_;
  }
  begin_.notify_all();
  work(0);
  std::unique_lock lock(mutex_);
  end_.wait(lock, [&] { return working_ == 0; });
  if (first_) std::rethrow_exception(first_);
}

}  // namespace lenswright
