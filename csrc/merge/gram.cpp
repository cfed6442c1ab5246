#include "merge/gram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "merge/kernel.h"

namespace lenswright {

double Gram::norm(size_t i) const { return std::sqrt((*this)(i, i)); }

double Gram::dot(std::span<const double> a, std::span<const double> b) const {
  double sum = 0;
  for (size_t i = 0; i < n_; ++i) {
    for (size_t j = 0; j < n_; ++j) sum += a[i] * b[j] * (*this)(i, j);
  }
  return sum;
}

void Gram::add(const Gram& other) {
  for (size_t i = 0; i < values_.size(); ++i) values_[i] += other.values_[i];
}

namespace {

void add_three(const double* products, Gram& gram) {
  for (const size_t at : {0, 1, 2}) gram(at / 2, (at + 1) / 2) += products[at];
  gram(1, 0) += products[1];
}

}  // namespace

void add_products(std::span<const double* const> x, int64_t count, Gram& gram) {
  if (x.size() == 2) {
    double products[3];
    dots(x[0], x[1], count, products);
    return add_three(products, gram);
  }
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = i; j < x.size(); ++j) {
      const double product = lenswright::dot(x[i], x[j], count);
      gram(i, j) += product;
      if (i != j) gram(j, i) += product;
    }
  }
}

namespace {

std::vector<size_t> vectors_of(const Task& task, bool deltas) {
  if (deltas) return task.others();
  std::vector<size_t> all(task.inputs);
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

// Vectors have no columns of their own.
Lines lines_of(const Task& task, Lines lines) { return task.matrix ? lines : Lines::whole; }

size_t grams(const Task& task, Lines lines) {
  const int64_t tiles = Tiling(task.shape, Cut::elements).tiles();
  return static_cast<size_t>(lines == Lines::whole  ? tiles
                             : lines == Lines::rows ? task.shape.rows
                                                    : task.shape.cols);
}

}  // namespace

GramWork::GramWork(const Task& task, bool deltas, Lines lines)
    : task_(task),
      inputs_(vectors_of(task, deltas)),
      deltas_(deltas),
      lines_(lines_of(task, lines)),
      grams_(grams(task, lines_), Gram(inputs_.size())) {}

Cut GramWork::cut(int pass) const {
  if (lines_ == Lines::rows) return Cut::rows;
  return lines_ == Lines::columns && pass == 0 ? Cut::columns : Cut::elements;
}

uint64_t GramWork::held() const {
  constexpr uint64_t kList = 64;  // of a vector and of its place on the heap
  const uint64_t n = inputs_.size();
  return grams_.size() * ((n * n + n) * sizeof(double) + 2 * kList);
}

std::vector<const double*> GramWork::inputs(const Strip& strip) const {
  std::vector<const double*> x;
  for (const size_t input : inputs_) x.push_back(strip.x[input]);
  return x;
}

const double* GramWork::base(const Strip& strip) const {
  return strip.x[static_cast<size_t>(task_.base)];
}

std::vector<const double*> GramWork::vectors(const Strip& strip) const {
  std::vector<const double*> x = inputs(strip);
  if (!deltas_) return x;
  for (size_t i = 0; i < x.size(); ++i) {
    subtract(x[i], base(strip), strip.count, strip.room[i]);
    x[i] = strip.room[i];
  }
  return x;
}

void GramWork::read(int, int64_t tile, const Strip& strip) {
  if (lines_ == Lines::columns) return add_columns(vectors(strip), strip);
  const int64_t line = lines_ == Lines::rows ? strip.first / task_.shape.cols : tile;
  Gram& gram = grams_[static_cast<size_t>(line)];
  if (!deltas_ || inputs_.size() != 2) return add_products(vectors(strip), strip.count, gram);
  double products[3];
  delta_dots(base(strip), strip.x[inputs_[0]], strip.x[inputs_[1]], strip.count, products);
  add_three(products, gram);
}

void GramWork::add_columns(const std::vector<const double*>& x, const Strip& strip) {
  const auto first = static_cast<size_t>(strip.first % task_.shape.cols);
  for (size_t c = 0; c < static_cast<size_t>(strip.count); ++c) {
    Gram& gram = grams_[first + c];
    for (size_t i = 0; i < x.size(); ++i) {
      for (size_t j = 0; j < x.size(); ++j) gram(i, j) += x[i][c] * x[j][c];
    }
  }
}

bool GramWork::finish(int) {
  if (lines_ == Lines::whole) {
    Gram sum(inputs_.size());
    for (const Gram& tile : grams_) sum.add(tile);
    grams_ = {std::move(sum)};
  }
  for (const Gram& gram : grams_) coefficients_.push_back(solve(gram));
  grams_ = {};
  return false;
}

void GramWork::write(int64_t, const Strip& strip, double* out) {
  if (lines_ == Lines::columns) {
    combine_columns(vectors(strip), strip, out);
    if (deltas_) add_scaled(1.0, base(strip), strip.count, out);
    return;
  }
  const int64_t line = lines_ == Lines::rows ? strip.first / task_.shape.cols : 0;
  const Coefficients& c = coefficients_[static_cast<size_t>(line)];
  deltas_ ? add_deltas(base(strip), inputs(strip), c, strip.count, out)
          : weighted_sum(inputs(strip), c, strip.count, out);
}

void GramWork::combine_columns(const std::vector<const double*>& x, const Strip& strip,
                               double* out) const {
  for (int64_t e = 0; e < strip.count; ++e) {
    const Coefficients& c =
        coefficients_[static_cast<size_t>((strip.first + e) % task_.shape.cols)];
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += c[i] * x[i][e];
    out[e] = sum;
  }
}

}  // namespace lenswright
