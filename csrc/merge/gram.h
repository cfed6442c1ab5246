#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "merge/work.h"

namespace lenswright {

/// Inner products of some vectors, in float64. Whatever slerp, nuslerp, multislerp, karcher and
/// model_stock do to vectors happens in their span, so these numbers are all they need: one pass to
/// have them, one to combine.
class Gram {
 public:
  explicit Gram(size_t n) : n_(n), values_(n * n) {}

  size_t size() const { return n_; }
  double operator()(size_t i, size_t j) const { return values_[i * n_ + j]; }
  double& operator()(size_t i, size_t j) { return values_[i * n_ + j]; }
  double norm(size_t i) const;
  /// Σ a_i b_j G_ij
  double dot(std::span<const double> a, std::span<const double> b) const;
  void add(const Gram& other);

 private:
  size_t n_;
  std::vector<double> values_;
};

/// Adds the products of `count` elements of each vector.
void add_products(std::span<const double* const> x, int64_t count, Gram& gram);

/// Weights c such that Σ c_i x_i is the merge: the whole answer of a method of this kind.
using Coefficients = std::vector<double>;

/// What counts as one vector: the whole tensor, each of its rows, or each of its columns.
enum class Lines : uint8_t { whole, rows, columns };

/// A method that takes one pass for the Gram matrix of its inputs, or of their differences to the
/// base, and answers with weights. out = Σ c_i x_i, or base + Σ c_i (x_i - base).
class GramWork : public Work {
 public:
  /// `deltas`: of differences to the base, which is then no input itself.
  GramWork(const Task& task, bool deltas, Lines lines = Lines::whole);

  int passes() const override { return 1; }
  Cut cut(int pass) const override;
  void read(int pass, int64_t tile, const Strip& strip) override;
  bool finish(int pass) override;
  void write(int64_t tile, const Strip& strip, double* out) override;
  uint64_t held() const override;

 protected:
  virtual Coefficients solve(const Gram& gram) const = 0;

  const Task task_;
  const std::vector<size_t> inputs_;  // the vectors, by input

 private:
  std::vector<const double*> inputs(const Strip& strip) const;
  const double* base(const Strip& strip) const;
  std::vector<const double*> vectors(const Strip& strip) const;
  void add_columns(const std::vector<const double*>& x, const Strip& strip);
  void combine_columns(const std::vector<const double*>& x, const Strip& strip, double* out) const;

  const bool deltas_;
  const Lines lines_;
  std::vector<Gram> grams_;                 // of tiles, or of lines
  std::vector<Coefficients> coefficients_;  // of lines; the whole tensor is one
};

}  // namespace lenswright
