#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>

namespace lenswright {

/// Thrown from Progress::step when the reporter asked to stop.
class Cancelled : public std::runtime_error {
 public:
  Cancelled() : std::runtime_error("cancelled") {}
  ~Cancelled() override;
};

/// Counts work and reports it a few times a second; any thread may step. Once a report returned
/// false or threw, every later step throws the same (Cancelled, or the reporter's own), so that all
/// workers stop and the caller sees the cause, whichever of them it hears first.
class Progress {
 public:
  /// (done, total) -> go on? Called under a lock, so never from two threads at once.
  using Report = std::function<bool(int64_t done, int64_t total)>;

  Progress() = default;
  explicit Progress(Report report, int64_t total = 0);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void set_total(int64_t total) { total_ = total; }
  void step(int64_t n);
  /// Reports the last figure.
  void finish();

  int64_t done() const { return done_; }
  int64_t total() const { return total_; }

 private:
  void stop_if_cancelled() const;
  void report_now();  // with mutex_ held

  Report report_;
  std::atomic<int64_t> done_{0};
  std::atomic<int64_t> total_{0};
  std::exception_ptr cause_;  // written once, before cancelled_
  std::atomic<bool> cancelled_{false};
  std::atomic<std::chrono::steady_clock::duration::rep> next_{0};
  std::mutex mutex_;
};

}  // namespace lenswright
