#pragma once

#include <cstdint>
#include <span>

namespace lenswright {

/// How far the softmax of a row is from that of another (Kullback and Leibler 1951), in nats:
/// Σ p log(p / q), p of `of` and q of `from`. Of rows that differ by little it has as many right
/// digits as of others: with d = of - from less its mean under q, it is
/// E_p[d] - log(1 + E_q[exp(d) - 1]), where nothing large cancels. `room`: two arrays of n.
double divergence(const double* of, const double* from, int64_t n, std::span<double* const> room);

}  // namespace lenswright
