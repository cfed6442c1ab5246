#include "merge/counted_ranks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/avx512.h"
#include "merge/ranking.h"

namespace lenswright {
namespace {

constexpr int64_t kFewest = 256, kMost = 32767;  // elements of a row: a rank, doubled, has 16 bits
constexpr int64_t kShort = 1024;                 // likewise, for which fewer keys do
constexpr int64_t kBins = 2048, kMoreBins = 8192;
constexpr int64_t kTogether = 32;  // that are summed up side by side
constexpr int64_t kOdd = 16;       // at most one element of so many is no whole number

// The unit by which the largest finite size has the last key, one of the upper half of all.
struct Scale {
  double unit, per_unit, last;
};

Scale scale_of(double most, int64_t bins) {
  const auto highest = static_cast<double>(bins - 1);
  // Of a row of subnormal sizes the unit would be none that a number can be divided by.
  const int power = most > 0 ? std::clamp(std::ilogb(highest / most), -1000, 1000) : 0;
  const double per_unit = std::ldexp(1.0, power);
  return {std::ldexp(1.0, -power), per_unit, std::floor(std::min(most * per_unit, highest))};
}

// Where keys go, and the elements that are no whole number of the unit.
struct Keys {
  uint16_t* keys;
  int32_t* odd;
};

// From element `first` on, when `found` are odd before; how many are.
[[gnu::always_inline]] inline int64_t keys_from(int64_t first, const double* sizes, int64_t n,
                                                const Scale& scale, const Keys& to, int64_t found) {
  for (int64_t i = first; i < n; ++i) {
    const double place = sizes[i] * scale.per_unit;
    const auto key = static_cast<int32_t>(place < scale.last ? place : scale.last);
    to.keys[i] = static_cast<uint16_t>(key);
    to.odd[found] = static_cast<int32_t>(i);
    found += key * scale.unit != sizes[i] ? 1 : 0;
  }
  return found;
}

LENSWRIGHT_PLAIN int64_t to_keys(const double* sizes, int64_t n, const Scale& scale,
                                 const Keys& to) {
  return keys_from(0, sizes, n, scale, to, 0);
}

#ifdef LENSWRIGHT_HAS_CLONES
LENSWRIGHT_V4 inline unsigned eight_keys(const double* sizes, const Scale& scale, __m256i& keys) {
  const __m512d size = _mm512_loadu_pd(sizes);
  const __m512d place = _mm512_mul_pd(size, _mm512_set1_pd(scale.per_unit));
  keys = _mm512_cvttpd_epi32(_mm512_min_pd(place, _mm512_set1_pd(scale.last)));
  const __m512d whole = _mm512_mul_pd(_mm512_cvtepi32_pd(keys), _mm512_set1_pd(scale.unit));
  return _mm512_cmp_pd_mask(whole, size, _CMP_NEQ_UQ);
}

LENSWRIGHT_V4 int64_t to_keys(const double* sizes, int64_t n, const Scale& scale, const Keys& to) {
  int64_t found = 0, i = 0;
  for (; i + 16 <= n; i += 16) {
    __m256i first, second;
    unsigned between = eight_keys(sizes + i, scale, first);
    between |= eight_keys(sizes + i + 8, scale, second) << 8;
    const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.keys + i), _mm512_cvtepi32_epi16(both));
    for (; between != 0; between &= between - 1) {
      to.odd[found++] = static_cast<int32_t>(i) + __builtin_ctz(between);
    }
  }
  return keys_from(i, sizes, n, scale, to, found);
}
#endif

// Of each key, from how often there is one among the even and among the odd elements: the sum of
// its first and its last rank, left in `even`, and how often there is one at all, in `odd`. What a
// key without elements has for ranks is never looked at.
LENSWRIGHT_PLAIN void to_ranks(uint16_t* even, uint16_t* odd, int64_t bins) {
  unsigned before = 0;
  for (int64_t i = 0; i < bins; ++i) {
    const unsigned own = even[i] + unsigned{odd[i]};
    even[i] = static_cast<uint16_t>(2 * before + own - 1);
    odd[i] = static_cast<uint16_t>(own);
    before += own;
  }
}

#ifdef LENSWRIGHT_HAS_CLONES
// The sum up to each of 32 lanes in five steps (Hillis and Steele 1986), then the next 32.
LENSWRIGHT_V4 void to_ranks(uint16_t* even, uint16_t* odd, int64_t bins) {
  alignas(64) uint16_t lanes[32];
  for (uint16_t i = 0; i < 32; ++i) lanes[i] = i;
  const __m512i lane = _mm512_load_si512(lanes), last = _mm512_set1_epi16(31);
  const __m512i one = _mm512_set1_epi16(1);
  __m512i before = _mm512_setzero_si512();
  for (int64_t i = 0; i < bins; i += kTogether) {
    const __m512i own = _mm512_add_epi16(_mm512_loadu_si512(even + i), _mm512_loadu_si512(odd + i));
    __m512i sum = own;
    for (int step = 1; step < 32; step *= 2) {
      const __m512i from = _mm512_sub_epi16(lane, _mm512_set1_epi16(static_cast<int16_t>(step)));
      sum = _mm512_add_epi16(sum, _mm512_maskz_permutexvar_epi16(~0u << step, from, sum));
    }
    sum = _mm512_add_epi16(sum, before);
    // 2 (sum - own) + own - 1
    const __m512i twice = _mm512_sub_epi16(_mm512_slli_epi16(sum, 1), own);
    _mm512_storeu_si512(even + i, _mm512_sub_epi16(twice, one));
    _mm512_storeu_si512(odd + i, own);
    before = _mm512_permutexvar_epi16(last, sum);
  }
}
#endif

LENSWRIGHT_PLAIN void look_up(const uint16_t* keys, const uint16_t* table, int64_t n,
                              int32_t* ranks) {
  for (int64_t i = 0; i < n; ++i) ranks[i] = table[keys[i]];
}

#ifdef LENSWRIGHT_HAS_CLONES
// Entries of 16 bits are gathered with the 16 behind them, which are dropped.
LENSWRIGHT_V4 void look_up(const uint16_t* keys, const uint16_t* table, int64_t n, int32_t* ranks) {
  const __m512i low = _mm512_set1_epi32(0xFFFF);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m512i key =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(keys + i)));
    _mm512_storeu_si512(ranks + i, _mm512_and_si512(_mm512_i32gather_epi32(key, table, 2), low));
  }
  for (; i < n; ++i) ranks[i] = table[keys[i]];
}
#endif

}  // namespace

bool CountedRanks::rank(const double* sizes, int64_t n, double most, int32_t* ranks) {
  if (n < kFewest || n > kMost) return false;
  const int64_t odd = take_keys(sizes, n, most);
  if (odd * kOdd > n) return false;
  odd_ = std::span(all_odd_).first(static_cast<size_t>(odd));
  std::ranges::sort(odd_, {}, [&](int32_t i) { return sizes[i]; });
  count(n);
  // Of one key those between are larger than its whole number.
  uint16_t* const table = table_.data();
  visit_odd([&](uint16_t key, std::span<const int32_t> some) {
    table[key] = static_cast<uint16_t>(table[key] - some.size());
  });
  look_up(keys_.data(), table, n, ranks);
  visit_odd([&](uint16_t key, std::span<const int32_t> some) {
    const int32_t own = table[bins_ + key], between = static_cast<int32_t>(some.size());
    const auto twice = static_cast<uint16_t>(table[key] + 1 + own - between);
    share_ranks(sizes, some, twice / 2, ranks);
  });
  return true;
}

int64_t CountedRanks::take_keys(const double* sizes, int64_t n, double most) {
  const Scale scale = scale_of(most, n <= kShort ? kBins : kMoreBins);
  bins_ = (static_cast<int64_t>(scale.last) / kTogether + 1) * kTogether;
  keys_.resize(static_cast<size_t>(n));
  all_odd_.resize(static_cast<size_t>(n) + 1);
  return to_keys(sizes, n, scale, {keys_.data(), all_odd_.data()});
}

// Neighbours are counted apart: a count is ready again some cycles after it was raised, and sizes
// repeat.
void CountedRanks::count(int64_t n) {
  table_.assign(static_cast<size_t>(2 * bins_), 0);
  uint16_t* const even = table_.data();
  uint16_t* const odd = table_.data() + bins_;
  const uint16_t* const keys = keys_.data();
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    uint64_t four;
    std::memcpy(&four, keys + i, sizeof four);
    ++even[four & 0xFFFF];
    ++odd[four >> 16 & 0xFFFF];
    ++even[four >> 32 & 0xFFFF];
    ++odd[four >> 48];
  }
  for (; i < n; ++i) ++even[keys[i]];
  to_ranks(even, odd, bins_);
}

// visit(key, those of odd_ that have it), key by key.
template <class Visit>
void CountedRanks::visit_odd(const Visit& visit) const {
  const auto key = [&](size_t at) { return keys_[static_cast<size_t>(odd_[at])]; };
  for (size_t first = 0, end = 0; first < odd_.size(); first = end) {
    while (end < odd_.size() && key(end) == key(first)) ++end;
    visit(key(first), odd_.subspan(first, end - first));
  }
}

}  // namespace lenswright
