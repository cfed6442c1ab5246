#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "edits/kernel.h"

namespace lenswright {

/// Makes tensors from tensors, one from each: an edit of thousands of experts has one direction.
class OnceEach {
 public:
  at::Tensor operator()(const at::Tensor& from, const std::function<at::Tensor()>& make);

 private:
  struct Made {
    at::Tensor from, result;  // held, so that no other tensor takes its place in memory
  };
  std::unordered_map<const void*, Made> made_;
};

/// What an edit does to one writer, whose weight is W [out, in] in whatever way it is stored:
///
///   W' = S (I - U Vᵀ) W C + A Bᵀ        b' = S (I - U Vᵀ) b + shift
///
/// Tensors are float64 on the CPU, contiguous; an absent factor is undefined. Each may have a
/// leading axis of rows: row i of a batch is then run with the i-th factors, which only a trial can
/// do. (A writer that is many matrices at once, such as experts, is one writer for each of them.)
struct Factors {
  at::Tensor s;      // diagonal, [out]
  at::Tensor u, v;   // [k, out]
  at::Tensor c;      // diagonal, [in]
  at::Tensor a;      // [r, out]
  at::Tensor b;      // [r, in]
  at::Tensor shift;  // [out]

  bool empty() const;
  bool changes_bias() const { return s.defined() || u.defined() || shift.defined(); }
  /// Length of the axis of rows; 0 where there is none.
  int64_t rows() const;
  /// The factors of these rows, in this order; repeating is allowed. One row: without the axis.
  Factors take(const at::Tensor& rows) const;
  Factors take(const at::Tensor& rows, OnceEach& once) const;
  Factors row(int64_t index) const;
  Factors row(int64_t index, OnceEach& once) const;
  /// Equal for factors that are the same tensors.
  std::array<const void*, 7> identity() const;

  FactorSpans spans() const;
  /// For the bias as a matrix of one input.
  FactorSpans bias_spans() const;

  /// Brings tensors of any real type and device into the form above and checks that they fit a
  /// writer of this size. Throws ValueError naming `writer` and the factor.
  Factors checked(const std::string& writer, int64_t outputs, int64_t inputs) const;
  Factors checked(const std::string& writer, int64_t outputs, int64_t inputs, OnceEach& once) const;
};

/// The factors one by one: their names in files and messages, and how many axes each has.
struct FactorSlot {
  const char* name;
  at::Tensor Factors::*tensor;
  int64_t dims;
  bool along_inputs;
};
inline constexpr std::array<FactorSlot, 7> kFactorSlots{{{"S", &Factors::s, 1, false},
                                                         {"U", &Factors::u, 2, false},
                                                         {"V", &Factors::v, 2, false},
                                                         {"C", &Factors::c, 1, true},
                                                         {"A", &Factors::a, 2, false},
                                                         {"B", &Factors::b, 2, true},
                                                         {"shift", &Factors::shift, 1, false}}};

/// Factors in the types and on the devices that runs ask for, cast once each. Threads may share it.
class CastFactors {
 public:
  explicit CastFactors(Factors factors) : factors_(std::move(factors)), rows_(factors_.rows()) {}
  const Factors& as(at::ScalarType type, at::Device device);
  int64_t rows() const { return rows_; }

 private:
  struct Entry {
    at::ScalarType type;
    at::Device device;
    Factors factors;
  };
  Factors factors_;
  int64_t rows_;
  std::mutex mutex_;
  std::deque<Entry> casts_;  // references into it stay valid
};

}  // namespace lenswright
