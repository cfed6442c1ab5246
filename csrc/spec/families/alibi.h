#pragma once

#include <cstdint>
#include <vector>

namespace lenswright {

/// Slopes of linear biases for any number of heads: Press et al. 2021, arXiv:2108.12409, section 3,
/// and its authors' rule for numbers that are no power of two: those of the power below, and then
/// every other one of the power above.
std::vector<double> alibi_slopes(int64_t heads);

}  // namespace lenswright
