#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lenswright {

/// The assignment of least cost: for each of n rows the column it gets, each column once. `cost` is
/// [n, n], row by row. Rows join one by one, each by the shortest augmenting path under potentials
/// (Jonker and Volgenant 1987, Computing 38; Kuhn 1955): at most n³ steps. std::invalid_argument
/// where a cost is not finite or there are not n².
std::vector<int64_t> assign(std::span<const double> cost, int64_t n);

}  // namespace lenswright
