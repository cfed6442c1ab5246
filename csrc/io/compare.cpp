#include "io/compare.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/clones.h"
#include "base/parallel.h"
#include "base/widen.h"

namespace lenswright {
namespace {

constexpr int64_t kPiece = 1 << 20;  // elements or bytes of one task; fixed, so sums are too
constexpr int64_t kStrip = 2048;     // elements widened at a time, to stay in the cache

struct Sums {
  double aa = 0, bb = 0, ab = 0, dd = 0, max_abs = 0;
  int64_t different = 0, not_a_number = 0;

  void add(const Sums& other) {
    aa += other.aa;
    bb += other.bb;
    ab += other.ab;
    dd += other.dd;
    max_abs = std::max(max_abs, other.max_abs);
    different += other.different;
    not_a_number += other.not_a_number;
  }
};

// Eight sums side by side, without branches; the compilers' vector types, as GCC 12 makes none of
// a plain loop like this.
constexpr int kLanes = 8;
using Lanes = double __attribute__((vector_size(8 * kLanes)));
using Masks = int64_t __attribute__((vector_size(8 * kLanes)));  // all ones where true

LENSWRIGHT_CLONES void add_lanes(const double* a, const double* b, Sums& total) {
  const Lanes zero = {};
  Lanes aa = {}, bb = {}, ab = {}, dd = {}, most = {};
  Masks different = {}, bad = {};
  for (int64_t i = 0; i < kStrip; i += kLanes) {
    Lanes x, y;
    std::memcpy(&x, a + i, sizeof x);
    std::memcpy(&y, b + i, sizeof y);
    const Masks x_bad = x != x, y_bad = y != y, either = x_bad | y_bad;
    x = either ? zero : x;
    y = either ? zero : y;
    const Lanes d = x == y ? zero : y - x;  // equal infinities have no difference
    const Lanes size = d < zero ? -d : d;
    aa += x * x;
    bb += y * y;
    ab += x * y;
    dd += d * d;
    most = size > most ? size : most;
    different -= (d != zero) | (x_bad ^ y_bad);
    bad -= either;
  }
  for (int l = 0; l < kLanes; ++l) {
    total.add({aa[l], bb[l], ab[l], dd[l], most[l], different[l], bad[l]});
  }
}

Sums piece_sums(Dtype a_dtype, const std::byte* a, Dtype b_dtype, const std::byte* b,
                int64_t count) {
  std::array<double, kStrip> x, y;
  Sums total;
  for (int64_t at = 0; at < count; at += kStrip) {
    const int64_t n = std::min(kStrip, count - at);
    widen(a_dtype, a + at * element_bytes(a_dtype), n, x.data());
    widen(b_dtype, b + at * element_bytes(b_dtype), n, y.data());
    std::fill(x.begin() + n, x.end(), 0.0);  // zeros add nothing
    std::fill(y.begin() + n, y.end(), 0.0);
    Sums strip;  // short sums first: the error grows with the number of strips, not of elements
    add_lanes(x.data(), y.data(), strip);
    total.add(strip);
  }
  return total;
}

double ratio(double over, double under) {
  if (under != 0) return over / under;
  return over == 0 ? 0 : std::numeric_limits<double>::infinity();
}

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b, Progress* progress,
                int threads) {
  const auto size = static_cast<int64_t>(a.size());
  std::atomic<bool> same{true};
  parallel_for((size + kPiece - 1) / kPiece, threads, [&](int64_t piece) {
    const int64_t at = piece * kPiece;
    const int64_t n = std::min(kPiece, size - at);
    if (same && std::memcmp(a.data() + at, b.data() + at, static_cast<size_t>(n)) != 0)
      same = false;
    if (progress != nullptr) progress->step(n);
  });
  return same;
}

TensorChange compare_tensor(const Checkpoint& a, const TensorInfo& in_a, const Checkpoint& b,
                            const TensorInfo& in_b, Progress* progress, int threads) {
  TensorChange change{in_a.name, TensorChange::Kind::same, in_a, in_b, std::nullopt};
  const auto skip = [&] {
    if (progress != nullptr) progress->step(static_cast<int64_t>(in_a.bytes()));
    return change;
  };
  if (in_a.shape != in_b.shape) {
    change.kind = TensorChange::Kind::shape;
    return skip();
  }
  const auto x = a.data(in_a), y = b.data(in_b);
  if (in_a.dtype != in_b.dtype) {
    change.kind = TensorChange::Kind::dtype;
    skip();
  } else {
    if (same_bytes(x, y, progress, threads)) return change;
    change.kind = TensorChange::Kind::changed;
  }
  if (!can_widen(in_a.dtype) || !can_widen(in_b.dtype)) return change;
  change.distance =
      distance(in_a.dtype, x.data(), in_b.dtype, y.data(), in_a.numel(), nullptr, threads);
  if (progress != nullptr) progress->step(0);
  return change;
}

void compare_into(const std::string& path, const Json* a, const Json* b,
                  std::vector<JsonChange>& out) {
  if (a != nullptr && b != nullptr) {
    if (*a == *b) return;
    if (a->is_object() && b->is_object()) {
      const std::string prefix = path.empty() ? "" : path + ".";
      for (const auto& [key, value] : a->items()) {
        const bool both = b->contains(key);
        const Json other = both ? b->at(key) : Json();
        compare_into(prefix + key, &value, both ? &other : nullptr, out);
      }
      for (const auto& [key, value] : b->items()) {
        if (!a->contains(key)) compare_into(prefix + key, nullptr, &value, out);
      }
      return;
    }
  }
  out.push_back({path, a != nullptr ? a->dump() : "", b != nullptr ? b->dump() : ""});
}

}  // namespace

const char* change_name(TensorChange::Kind kind) {
  switch (kind) {
    case TensorChange::Kind::same:
      return "same";
    case TensorChange::Kind::changed:
      return "changed";
    case TensorChange::Kind::dtype:
      return "dtype";
    case TensorChange::Kind::shape:
      return "shape";
    case TensorChange::Kind::only_a:
      return "only_a";
    case TensorChange::Kind::only_b:
      return "only_b";
  }
  return "unknown";
}

Distance distance(Dtype a_dtype, const std::byte* a, Dtype b_dtype, const std::byte* b,
                  int64_t elements, Progress* progress, int threads) {
  std::vector<Sums> sums(static_cast<size_t>((elements + kPiece - 1) / kPiece));
  parallel_for(static_cast<int64_t>(sums.size()), threads, [&](int64_t piece) {
    const int64_t at = piece * kPiece;
    const int64_t n = std::min(kPiece, elements - at);
    sums[static_cast<size_t>(piece)] = piece_sums(a_dtype, a + at * element_bytes(a_dtype), b_dtype,
                                                  b + at * element_bytes(b_dtype), n);
    if (progress != nullptr) progress->step(n);
  });
  Sums total;
  for (const Sums& piece : sums) total.add(piece);
  Distance result;
  result.elements = elements;
  result.different = total.different;
  result.not_a_number = total.not_a_number;
  result.relative = ratio(std::sqrt(total.dd), std::sqrt(total.aa));
  result.max_abs = total.max_abs;
  const double norms = std::sqrt(total.aa) * std::sqrt(total.bb);
  result.cosine = norms != 0 ? total.ab / norms : (total.aa == total.bb ? 1 : 0);
  return result;
}

std::vector<TensorChange> compare(const Checkpoint& a, const Checkpoint& b, Progress* progress,
                                  int threads) {
  std::vector<TensorChange> changes;
  if (progress != nullptr) {
    uint64_t total = 0;
    for (const TensorInfo& tensor : a.tensors()) total += tensor.bytes();
    progress->set_total(static_cast<int64_t>(total));
  }
  for (const TensorInfo& tensor : a.tensors()) {
    if (b.contains(tensor.name)) {
      changes.push_back(compare_tensor(a, tensor, b, b.info(tensor.name), progress, threads));
      continue;
    }
    changes.push_back(
        {tensor.name, TensorChange::Kind::only_a, tensor, std::nullopt, std::nullopt});
    if (progress != nullptr) progress->step(static_cast<int64_t>(tensor.bytes()));
  }
  for (const TensorInfo& tensor : b.tensors()) {
    if (a.contains(tensor.name)) continue;
    changes.push_back(
        {tensor.name, TensorChange::Kind::only_b, std::nullopt, tensor, std::nullopt});
  }
  if (progress != nullptr) progress->finish();
  return changes;
}

std::vector<JsonChange> compare(const Json& a, const Json& b) {
  std::vector<JsonChange> out;
  compare_into("", &a, &b, out);
  return out;
}

}  // namespace lenswright
