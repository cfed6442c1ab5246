#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lenswright {

/// Threads that stay for the whole of a merge, so that what each works with stays, too.
class Pool {
 public:
  using Body = std::function<void(int64_t index, int worker)>;

  /// 0: one thread per processor. The caller is one of them.
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  /// Calls body(i, worker) once for every i in [0, count), worker in [0, size()), and waits. After
  /// the first exception no new index is started and that exception is thrown here.
  void run(int64_t count, const Body& body);

 private:
  void stay(int worker);
  void work(int worker);

  std::vector<std::jthread> threads_;
  std::mutex mutex_;
  std::condition_variable begin_, end_;
  const Body* body_ = nullptr;
  int64_t count_ = 0, next_ = 0;
  int working_ = 0;
  uint64_t round_ = 0;
  bool leaving_ = false;
  std::exception_ptr first_;
};

}  // namespace lenswright
