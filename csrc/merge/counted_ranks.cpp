#include "merge/counted_ranks.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/avx512.h"

namespace lenswright {
namespace {

constexpr int64_t kFewest = 256, kMost = 65535;  // elements of a row
constexpr int64_t kShort = 1024;                 // likewise, for which fewer keys do
constexpr int64_t kBins = 2048, kMoreBins = 8192;
constexpr int64_t kOdd = 16;       // at most one element of so many shares a key with another size
constexpr int64_t kTogether = 32;  // keys looked at side by side

// How many are no float.
LENSWRIGHT_CLONES int64_t to_keys(const double* sizes, int64_t n, double scale, double last,
                                  uint16_t* keys, uint32_t* bits) {
  int64_t inexact = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double place = sizes[i] * scale;
    keys[i] = static_cast<uint16_t>(static_cast<int32_t>(place < last ? place : last));
    const auto single = static_cast<float>(sizes[i]);
    bits[i] = std::bit_cast<uint32_t>(single);
    inexact += static_cast<double>(single) == sizes[i] ? 0 : 1;
  }
  return inexact;
}

// Where each key begins in either half, from how often there is one: the later half comes first.
LENSWRIGHT_PLAIN void begin_each(uint16_t* early, uint16_t* late, int64_t bins) {
  uint16_t before = 0;
  for (int64_t i = 0; i < bins; ++i) {
    before = static_cast<uint16_t>(before + std::exchange(late[i], before));
    before = static_cast<uint16_t>(before + std::exchange(early[i], before));
  }
}

#ifdef LENSWRIGHT_HAS_CLONES
// The sum up to each of 32 lanes in five steps (Hillis and Steele 1986), then the next 32.
LENSWRIGHT_V4 void begin_each(uint16_t* early, uint16_t* late, int64_t bins) {
  alignas(64) uint16_t lanes[32];
  for (uint16_t i = 0; i < 32; ++i) lanes[i] = i;
  const __m512i lane = _mm512_load_si512(lanes), last = _mm512_set1_epi16(31);
  __m512i before = _mm512_setzero_si512();
  for (int64_t i = 0; i < bins; i += 32) {
    const __m512i first = _mm512_loadu_si512(late + i), second = _mm512_loadu_si512(early + i);
    const __m512i own = _mm512_add_epi16(first, second);
    __m512i sum = own;
    for (int step = 1; step < 32; step *= 2) {
      const __m512i from = _mm512_sub_epi16(lane, _mm512_set1_epi16(static_cast<int16_t>(step)));
      sum = _mm512_add_epi16(sum, _mm512_maskz_permutexvar_epi16(~0u << step, from, sum));
    }
    sum = _mm512_add_epi16(sum, before);
    const __m512i start = _mm512_sub_epi16(sum, own);
    _mm512_storeu_si512(late + i, start);
    _mm512_storeu_si512(early + i, _mm512_add_epi16(start, first));
    before = _mm512_permutexvar_epi16(last, sum);
  }
}
#endif

// The elements whose size is not the last one of their key; how many.
LENSWRIGHT_PLAIN int64_t odd_ones(const uint16_t* keys, const uint32_t* bits, const uint32_t* last,
                                  int64_t n, int32_t* odd) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    odd[found] = static_cast<int32_t>(i);
    found += last[keys[i]] != bits[i] ? 1 : 0;
  }
  return found;
}

#ifdef LENSWRIGHT_HAS_CLONES
LENSWRIGHT_V4 int64_t odd_ones(const uint16_t* keys, const uint32_t* bits, const uint32_t* last,
                               int64_t n, int32_t* odd) {
  int64_t found = 0, i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m512i key =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(keys + i)));
    const __m512i seen = _mm512_i32gather_epi32(key, last, 4);
    unsigned differ = _mm512_cmpneq_epi32_mask(seen, _mm512_loadu_si512(bits + i));
    for (; differ != 0; differ &= differ - 1) {
      odd[found++] = static_cast<int32_t>(i) + __builtin_ctz(differ);
    }
  }
  for (; i < n; ++i) {
    odd[found] = static_cast<int32_t>(i);
    found += last[keys[i]] != bits[i] ? 1 : 0;
  }
  return found;
}
#endif

LENSWRIGHT_CLONES bool among(const uint16_t* keys, uint16_t key) {
  uint16_t found = 0;
  for (int64_t i = 0; i < kTogether; ++i) found |= keys[i] == key ? 1 : 0;
  return found != 0;
}

// All elements of one key.
void members(const std::vector<uint16_t>& keys, uint16_t key, std::vector<int32_t>& out) {
  out.clear();
  const auto n = static_cast<int64_t>(keys.size());
  for (int64_t first = 0; first < n; first += kTogether) {
    const int64_t end = std::min(n, first + kTogether);
    if (end - first == kTogether && !among(keys.data() + first, key)) continue;
    for (int64_t i = first; i < end; ++i) {
      if (keys[static_cast<size_t>(i)] == key) out.push_back(static_cast<int32_t>(i));
    }
  }
}

}  // namespace

bool CountedRanks::rank(const double* sizes, int64_t n, double most, int32_t* ranks) {
  if (n < kFewest || n > kMost || !take_keys(sizes, n, most)) return false;
  const int64_t odd = count(n, ranks);
  if (odd * kOdd > n) return false;
  if (odd > 0) mend(sizes, std::span(odd_).first(static_cast<size_t>(odd)), ranks);
  return true;
}

bool CountedRanks::take_keys(const double* sizes, int64_t n, double most) {
  bins_ = n <= kShort ? kBins : kMoreBins;
  keys_.resize(static_cast<size_t>(n));
  bits_.resize(static_cast<size_t>(n));
  const auto last = static_cast<double>(bins_ - 1);
  // Of a row of subnormal sizes the scale would be infinite, and 0 times that no number.
  const double scale = most > 0 ? std::min(last / most, std::numeric_limits<double>::max()) : 0.0;
  return to_keys(sizes, n, scale, last, keys_.data(), bits_.data()) == 0;
}

// How many are odd. What comes first in the row is counted last, so that of equal ones it has the
// highest rank. The halves of the row are counted apart: a count is ready again some cycles after
// it was raised, and sizes repeat.
int64_t CountedRanks::count(int64_t n, int32_t* __restrict ranks) {
  counts_.assign(static_cast<size_t>(2 * bins_), 0);
  last_.resize(static_cast<size_t>(bins_));
  odd_.resize(static_cast<size_t>(n) + 1);
  const uint16_t* __restrict keys = keys_.data();
  const uint32_t* __restrict bits = bits_.data();
  uint16_t* __restrict early = counts_.data();
  uint16_t* __restrict late = counts_.data() + bins_;
  uint32_t* __restrict last = last_.data();
  const int64_t half = n / 2;
  for (int64_t i = 0; i < half; ++i) {
    ++early[keys[i]];
    ++late[keys[i + half]];
    last[keys[i]] = bits[i];
    last[keys[i + half]] = bits[i + half];
  }
  if (n % 2 != 0) {
    ++late[keys[n - 1]];
    last[keys[n - 1]] = bits[n - 1];
  }
  begin_each(early, late, bins_);
  if (n % 2 != 0) ranks[n - 1] = late[keys[n - 1]]++;
  for (int64_t i = half; i-- > 0;) {
    ranks[i + half] = late[keys[i + half]]++;
    ranks[i] = early[keys[i]]++;
  }
  return odd_ones(keys, bits, last, n, odd_.data());
}

// The elements of a key that is shared by different sizes have its ranks, in another order.
void CountedRanks::mend(const double* sizes, std::span<const int32_t> odd, int32_t* ranks) {
  std::vector<uint16_t> shared;
  for (const int32_t i : odd) shared.push_back(keys_[static_cast<size_t>(i)]);
  std::ranges::sort(shared);
  shared.erase(std::unique(shared.begin(), shared.end()), shared.end());
  std::vector<int32_t> all;
  for (const uint16_t key : shared) {
    members(keys_, key, all);
    int32_t rank = ranks[all.back()];  // the lowest of them
    std::ranges::sort(all, [&](int32_t a, int32_t b) {
      return sizes[a] != sizes[b] ? sizes[a] < sizes[b] : a > b;
    });
    for (const int32_t i : all) ranks[i] = rank++;
  }
}

}  // namespace lenswright
