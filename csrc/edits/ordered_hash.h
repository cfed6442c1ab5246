#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "base/sha256.h"

namespace lenswright {

/// SHA-256 of pieces that several threads bring: each waits until those before it have come. Pieces
/// must be started in order, and who cannot bring one must say so with fail().
class OrderedHash {
 public:
  void add(int64_t index, std::span<const std::byte> piece) {
    std::unique_lock lock(mutex_);
    turn_.wait(lock, [&] { return next_ == index || failed_; });
    if (failed_) std::rethrow_exception(failed_);
    sha_.update(piece);
    ++next_;
    turn_.notify_all();
  }

  void fail(std::exception_ptr why) {
    const std::lock_guard lock(mutex_);
    if (!failed_) failed_ = std::move(why);
    turn_.notify_all();
  }

  std::string hex() const { return sha_.hex(); }

 private:
  std::mutex mutex_;
  std::condition_variable turn_;
  int64_t next_ = 0;
  std::exception_ptr failed_;
  Sha256 sha_;
};

}  // namespace lenswright
