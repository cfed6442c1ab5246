#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "io/checkpoint.h"

namespace lenswright {

/// How far two tensors of equal shape are apart, in float64. Positions where either is NaN are
/// counted and left out of the rest.
struct Distance {
  int64_t elements = 0;
  int64_t different = 0;  // elements whose values differ
  int64_t not_a_number = 0;
  double relative = 0;  // |b - a| / |a|, Frobenius; infinite when a is zero and b is not
  double max_abs = 0;   // max |b - a|
  double cosine = 1;    // of a and b as vectors; 1 when both are zero, 0 when one is
};

/// Two spans of the same number of elements of floating-point types (can_widen); the result does
/// not depend on the number of threads.
Distance distance(Dtype a_dtype, const std::byte* a, Dtype b_dtype, const std::byte* b,
                  int64_t elements, Progress* progress = nullptr, int threads = 0);

struct TensorChange {
  enum class Kind { same, changed, dtype, shape, only_a, only_b };
  std::string name;
  Kind kind = Kind::same;
  std::optional<TensorInfo> a, b;
  std::optional<Distance> distance;  // where shapes agree and both types are known as numbers
};

const char* change_name(TensorChange::Kind kind);

/// Compares checkpoint with checkpoint, tensor by tensor: a's in file order, then those only b has.
/// Progress counts the bytes of a.
std::vector<TensorChange> compare(const Checkpoint& a, const Checkpoint& b,
                                  Progress* progress = nullptr, int threads = 0);

/// A key whose value differs; "" where a side has none.
struct JsonChange {
  std::string path, a, b;
};
std::vector<JsonChange> compare(const Json& a, const Json& b);

}  // namespace lenswright
