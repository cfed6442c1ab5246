#include "merge/ranking.h"

#include <algorithm>
#include <limits>

namespace lenswright {
namespace {

constexpr std::ptrdiff_t kFew = 24;  // that insertion sorts quicker

// By size, of equal ones the last first.
void sort_few(const double* sizes, int32_t* first, int32_t* last) {
  const auto before = [&](int32_t a, int32_t b) {
    return sizes[a] != sizes[b] ? sizes[a] < sizes[b] : a > b;
  };
  if (last - first > kFew) {
    if (!std::is_sorted(first, last, before)) std::sort(first, last, before);
    return;
  }
  for (int32_t* i = first + 1; i < last; ++i) {
    const int32_t here = *i;
    int32_t* to = i;
    for (; to > first && before(here, to[-1]); --to) *to = to[-1];
    *to = here;
  }
}

}  // namespace

void Ranking::rank(const double* sizes, int64_t n, int32_t* ranks) {
  const auto count = static_cast<size_t>(n);
  bucket_.resize(count);
  order_.resize(count);
  start_.assign(count + 2, 0);
  double most = 0;
  for (size_t i = 0; i < count; ++i) {
    if (sizes[i] <= std::numeric_limits<double>::max()) most = std::max(most, sizes[i]);
  }
  const double scale = most > 0 ? static_cast<double>(n - 1) / most : 0;
  const double limit = static_cast<double>(n);
  for (size_t i = 0; i < count; ++i) {
    const double place = sizes[i] <= most ? sizes[i] * scale : limit;  // infinities come last
    bucket_[i] = static_cast<int32_t>(place < limit ? place : limit);
    ++start_[static_cast<size_t>(bucket_[i]) + 1];
  }
  for (size_t b = 1; b < start_.size(); ++b) start_[b] += start_[b - 1];
  // From the last to the first, so that equal sizes lie in the order wanted already.
  std::vector<int32_t>& next = start_;
  for (size_t i = count; i-- > 0;) {
    order_[static_cast<size_t>(next[static_cast<size_t>(bucket_[i])]++)] = static_cast<int32_t>(i);
  }
  // Now start_[b] is the end of bucket b.
  int32_t begin = 0;
  for (size_t b = 0; b + 1 < start_.size(); ++b) {
    if (start_[b] - begin > 1) sort_few(sizes, order_.data() + begin, order_.data() + start_[b]);
    begin = start_[b];
  }
  for (size_t rank = 0; rank < count; ++rank) {
    ranks[order_[rank]] = static_cast<int32_t>(rank);
  }
}

}  // namespace lenswright
