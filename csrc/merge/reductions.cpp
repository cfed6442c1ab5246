#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "base/clones.h"
#include "merge/kernel.h"

namespace lenswright {
namespace {

constexpr int kLanes = 8;
using Lanes = double __attribute__((vector_size(8 * kLanes)));

// By reference: returning such a vector would depend on the instruction set.
inline double total(const Lanes& lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

inline void load(const double* from, Lanes& lanes) { std::memcpy(&lanes, from, sizeof lanes); }

// What is left of a row, with zeros behind it.
inline void load_some(const double* from, int64_t n, Lanes& lanes) {
  lanes = Lanes{};
  std::memcpy(&lanes, from, static_cast<size_t>(n) * sizeof(double));
}

}  // namespace

LENSWRIGHT_CLONES double dot(const double* a, const double* b, int64_t n) {
  Lanes sum = {}, more = {}, x, y;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    load(a + i, x);
    load(b + i, y);
    sum += x * y;
    load(a + i + kLanes, x);
    load(b + i + kLanes, y);
    more += x * y;
  }
  for (; i < n; i += kLanes) {
    load_some(a + i, std::min<int64_t>(kLanes, n - i), x);
    load_some(b + i, std::min<int64_t>(kLanes, n - i), y);
    sum += x * y;
  }
  sum += more;
  return total(sum);
}

namespace {

// `count` numbers, of differences to a base where there is one; the lanes behind them are 0.
template <bool deltas>
[[gnu::always_inline]] inline void take(const double* from, const double* base, int64_t count,
                                        Lanes& x) {
  if (count < kLanes) load_some(from, count, x);
  if (count >= kLanes) load(from, x);
  if (!deltas) return;
  Lanes origin;
  if (count < kLanes) load_some(base, count, origin);
  if (count >= kLanes) load(base, origin);
  x -= origin;
}

[[gnu::always_inline]] inline void add_three(const Lanes& x, const Lanes& y, Lanes* sum) {
  sum[0] += x * x;
  sum[1] += x * y;
  sum[2] += y * y;
}

template <bool deltas>
[[gnu::always_inline]] inline void three(const double* a, const double* b, const double* base,
                                         int64_t n, double* out) {
  Lanes sum[3] = {}, more[3] = {}, x, y;
  const auto at = [&](int64_t i) { return deltas ? base + i : nullptr; };
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    take<deltas>(a + i, at(i), kLanes, x);
    take<deltas>(b + i, at(i), kLanes, y);
    add_three(x, y, sum);
    take<deltas>(a + i + kLanes, at(i + kLanes), kLanes, x);
    take<deltas>(b + i + kLanes, at(i + kLanes), kLanes, y);
    add_three(x, y, more);
  }
  for (; i < n; i += kLanes) {
    take<deltas>(a + i, at(i), n - i, x);
    take<deltas>(b + i, at(i), n - i, y);
    add_three(x, y, sum);
  }
  for (int j = 0; j < 3; ++j) {
    sum[j] += more[j];
    out[j] = total(sum[j]);
  }
}

}  // namespace

LENSWRIGHT_CLONES void dots(const double* a, const double* b, int64_t n, double* out) {
  three<false>(a, b, nullptr, n, out);
}

LENSWRIGHT_CLONES void delta_dots(const double* base, const double* a, const double* b, int64_t n,
                                  double* out) {
  three<true>(a, b, base, n, out);
}

LENSWRIGHT_CLONES double sum_abs(const double* a, int64_t n) {
  Lanes sum = {}, x;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load(a + i, x);
    sum += x < 0 ? -x : x;
  }
  if (i < n) {
    load_some(a + i, n - i, x);
    sum += x < 0 ? -x : x;
  }
  return total(sum);
}

LENSWRIGHT_CLONES double largest(const double* a, int64_t n, double start) {
  Lanes most = start - Lanes{}, x;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load(a + i, x);
    most = x > most ? x : most;
  }
  for (; i < n; ++i) start = a[i] > start ? a[i] : start;
  for (int lane = 0; lane < kLanes; ++lane) start = most[lane] > start ? most[lane] : start;
  return start;
}

LENSWRIGHT_CLONES double smallest(const double* a, int64_t n, double start) {
  Lanes least = start - Lanes{}, x;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load(a + i, x);
    least = x < least ? x : least;
  }
  for (; i < n; ++i) start = a[i] < start ? a[i] : start;
  for (int lane = 0; lane < kLanes; ++lane) start = least[lane] < start ? least[lane] : start;
  return start;
}

LENSWRIGHT_CLONES double magnitude(const double* a, int64_t n, double* out) {
  constexpr double kMost = std::numeric_limits<double>::max();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Lanes zero = {}, infinity = kInfinity - Lanes{};
  Lanes most = {}, x;
  double largest = 0;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load(a + i, x);
    x = x < 0 ? -x : x + 0.0;  // of -0, too
    const Lanes finite = x <= kMost ? x : zero;
    most = finite > most ? finite : most;
    x = x <= kMost ? x : infinity;
    std::memcpy(out + i, &x, sizeof x);
  }
  for (; i < n; ++i) {
    const double size = std::abs(a[i]);
    out[i] = size <= kMost ? size : kInfinity;
    largest = size <= kMost && size > largest ? size : largest;
  }
  for (int lane = 0; lane < kLanes; ++lane) largest = most[lane] > largest ? most[lane] : largest;
  return largest;
}

LENSWRIGHT_CLONES int64_t count_nonzero(const double* a, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) count += a[i] != 0 ? 1 : 0;
  return count;
}

namespace {

// By the bits of the exponent, all of which are ones then.
template <typename Bits>
[[gnu::always_inline]] inline int64_t count_special(const std::byte* bytes, int64_t n, Bits mask) {
  int64_t count = 0;
  constexpr int64_t kPiece = 128;  // a count that fits beside the numbers
  for (int64_t at = 0; at < n; at += kPiece) {
    const int64_t end = std::min(n, at + kPiece);
    Bits found = 0;
    for (int64_t i = at; i < end; ++i) {
      Bits bits;
      std::memcpy(&bits, bytes + i * static_cast<int64_t>(sizeof(Bits)), sizeof(Bits));
      found = static_cast<Bits>(found + ((bits & mask) == mask ? 1 : 0));
    }
    count += static_cast<int64_t>(found);
  }
  return count;
}

LENSWRIGHT_CLONES int64_t count_special16(const std::byte* bytes, int64_t n, uint16_t mask) {
  return count_special<uint16_t>(bytes, n, mask);
}

LENSWRIGHT_CLONES int64_t count_special32(const std::byte* bytes, int64_t n, uint32_t mask) {
  return count_special<uint32_t>(bytes, n, mask);
}

LENSWRIGHT_CLONES int64_t count_special64(const std::byte* bytes, int64_t n, uint64_t mask) {
  return count_special<uint64_t>(bytes, n, mask);
}

}  // namespace

int64_t count_not_finite(Dtype dtype, const std::byte* bytes, int64_t n) {
  switch (dtype) {
    case Dtype::bf16:
      return count_special16(bytes, n, 0x7F80);
    case Dtype::f16:
      return count_special16(bytes, n, 0x7C00);
    case Dtype::f32:
      return count_special32(bytes, n, 0x7F800000);
    case Dtype::f64:
      return count_special64(bytes, n, uint64_t{0x7FF} << 52);
    default:
      throw std::invalid_argument("dtype " + std::string(wire_name(dtype)) +
                                  ": expected F64, F32, BF16 or F16");
  }
}

}  // namespace lenswright
