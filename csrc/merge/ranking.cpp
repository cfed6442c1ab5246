#include "merge/ranking.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/clones.h"

namespace lenswright {
namespace {

constexpr int32_t kDigit = 256;
constexpr double kLast = kDigit * kDigit - 1;  // key of what is infinite
constexpr double kLargest = std::numeric_limits<double>::max();

// Grows with the size; 65,535 equal intervals.
LENSWRIGHT_CLONES void keys_of(const double* sizes, int64_t n, double scale, uint16_t* keys) {
  for (int64_t i = 0; i < n; ++i) {
    const double place = sizes[i] * scale;
    keys[i] = static_cast<uint16_t>(static_cast<int32_t>(place < kLast ? place : kLast));
  }
}

using Starts = std::array<int32_t, kDigit>;

// Where each digit begins, from how often there is one.
void begin_each(Starts& counts) {
  int32_t before = 0;
  for (int32_t& count : counts) before += std::exchange(count, before);
}

}  // namespace

// Two digits of the key, the lower first (Knuth, volume 3, section 5.2.5), each pass keeping the
// order of equals.
void Ranking::sort_by_key() {
  const auto n = static_cast<int32_t>(key_.size());
  Starts low = {}, high = {};
  for (const uint16_t key : key_) {
    ++low[key % kDigit];
    ++high[key / kDigit];
  }
  begin_each(low);
  begin_each(high);
  for (int32_t i = 0; i < n; ++i) {
    half_sorted_[static_cast<size_t>(low[key_[static_cast<size_t>(i)] % kDigit]++)] = i;
  }
  for (const int32_t i : half_sorted_) {
    order_[static_cast<size_t>(high[key_[static_cast<size_t>(i)] / kDigit]++)] = i;
  }
}

// Different sizes of one key may be out of order still.
void Ranking::sort_within_keys(const double* sizes) {
  const auto before = [&](int32_t a, int32_t b) { return sizes[a] < sizes[b]; };
  const auto key = [&](size_t at) { return key_[static_cast<size_t>(order_[at])]; };
  for (size_t i = 1; i < order_.size(); ++i) {
    if (sizes[order_[i]] >= sizes[order_[i - 1]]) continue;
    size_t first = i - 1, last = i + 1;
    while (first > 0 && key(first - 1) == key(i)) --first;
    while (last < order_.size() && key(last) == key(i)) ++last;
    std::sort(order_.data() + first, order_.data() + last, before);
    i = last - 1;
  }
}

void Ranking::rank(const double* sizes, int64_t n, double most, int32_t* ranks) {
  if (!counted_.rank(sizes, n, most, ranks)) sort(sizes, n, most, ranks);
}

void Ranking::sort(const double* sizes, int64_t n, double most, int32_t* ranks) {
  const auto count = static_cast<size_t>(n);
  key_.resize(count);
  half_sorted_.resize(count);
  order_.resize(count);
  // Of a row of subnormal sizes the scale would be infinite, and 0 times that no number.
  const double scale = most > 0 ? std::min(kLast / most, kLargest) : 0.0;
  keys_of(sizes, n, scale, key_.data());
  sort_by_key();
  sort_within_keys(sizes);
  share_ranks(sizes, order_, 0, ranks);
}

void share_ranks(const double* sizes, std::span<const int32_t> order, int32_t lowest,
                 int32_t* ranks) {
  for (size_t first = 0, end = 0; first < order.size(); first = end) {
    while (end < order.size() && sizes[order[end]] == sizes[order[first]]) ++end;
    const auto twice = 2 * lowest + static_cast<int32_t>(first + end) - 1;
    for (size_t i = first; i < end; ++i) ranks[order[i]] = twice;
  }
}

}  // namespace lenswright
