#include "merge/assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace lenswright {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

class Assigner {
 public:
  Assigner(std::span<const double> cost, int64_t n)
      : cost_(cost),
        n_(static_cast<size_t>(n)),
        of_row_(n_, 0),
        of_column_(n_, 0),
        row_of_(n_, -1),
        column_of_(n_, -1) {}

  std::vector<int64_t> run() {
    for (size_t row = 0; row < n_; ++row) join(row);
    return std::move(column_of_);
  }

 private:
  // The shortest path from a row without a column to a column without a row.
  void join(size_t start) {
    std::vector<double> far(n_, kFar);
    std::vector<int64_t> from(n_, -1);  // the row before each column
    std::vector<char> done(n_, 0);
    std::vector<size_t> reached;
    double length = 0;
    size_t row = start;
    size_t last = n_;
    while (last == n_) {
      const double* costs = cost_.data() + row * n_;
      const double offset = length - of_row_[row];
      double least = kFar;
      size_t next = n_;
      for (size_t column = 0; column < n_; ++column) {
        if (done[column]) continue;
        const double here = offset + costs[column] - of_column_[column];
        if (here < far[column]) {
          far[column] = here;
          from[column] = static_cast<int64_t>(row);
        }
        if (far[column] < least) {
          least = far[column];
          next = column;
        }
      }
      length = least;
      done[next] = 1;
      reached.push_back(next);
      if (row_of_[next] < 0) last = next;
      row = static_cast<size_t>(row_of_[next]);
    }
    for (const size_t column : reached) {
      const double moved = length - far[column];
      of_column_[column] -= moved;
      if (row_of_[column] >= 0) of_row_[static_cast<size_t>(row_of_[column])] += moved;
    }
    of_row_[start] += length;
    augment(start, last, from);
  }

  void augment(size_t start, size_t column, const std::vector<int64_t>& from) {
    while (true) {
      const auto row = static_cast<size_t>(from[column]);
      row_of_[column] = static_cast<int64_t>(row);
      const int64_t before = column_of_[row];
      column_of_[row] = static_cast<int64_t>(column);
      if (row == start) return;
      column = static_cast<size_t>(before);
    }
  }

  std::span<const double> cost_;
  size_t n_;
  std::vector<double> of_row_, of_column_;   // potentials
  std::vector<int64_t> row_of_, column_of_;  // the assignment so far
};

}  // namespace

std::vector<int64_t> assign(std::span<const double> cost, int64_t n) {
  if (n < 0 || cost.size() != static_cast<size_t>(n) * static_cast<size_t>(n)) {
    throw std::invalid_argument("cost has " + std::to_string(cost.size()) + " numbers, expected " +
                                std::to_string(n) + "²");
  }
  if (!std::ranges::all_of(cost, [](double c) { return std::isfinite(c); })) {
    throw std::invalid_argument("cost has numbers that are not finite");
  }
  return Assigner(cost, n).run();
}

}  // namespace lenswright
