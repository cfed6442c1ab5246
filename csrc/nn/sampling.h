#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lenswright {

/// How the next token is chosen. What does nothing stands as default.
struct Sampling {
  double temperature = 0;         // 0: the most probable token
  int64_t top_k = 0;              // so many of the most probable tokens; 0: all
  double top_p = 1;               // the fewest that hold this much probability
  double min_p = 0;               // those with at least this part of the highest probability
  double repetition_penalty = 1;  // on every token of prompt and continuation
  double frequency_penalty = 0;   // on a token of the continuation, for each time it stands there
  double presence_penalty = 0;    // on every token of the continuation, once

  bool penalizes() const;
  /// Throws ValueError where a number is out of its range.
  void check() const;
};

// Logits [rows, vocab] in, on any device, and every row for itself. The order is that of
// transformers: penalties, temperature, top_k, top_p, min_p.

/// Logits with penalties. `seen` [rows, vocab] bool: tokens of prompt and continuation; `said`
/// [rows, vocab]: how often each stands in the continuation. Repetition divides positive logits and
/// multiplies negative ones (Keskar et al. 2019, arXiv:1909.05858); the other two are subtracted.
at::Tensor penalized(const at::Tensor& logits, const at::Tensor& seen, const at::Tensor& said,
                     const Sampling& how);

/// Logits over temperature, which must be positive; −∞ for what top_k, top_p (Holtzman et al. 2019,
/// arXiv:1904.09751) and min_p (Nguyen et al. 2024, arXiv:2407.01082) leave out.
at::Tensor filtered(const at::Tensor& logits, const Sampling& how);

/// The most probable token of each row, the smallest id of equals: [rows] int64.
at::Tensor greedy(const at::Tensor& logits);

/// A token of each row, drawn with its probability (float64) by the one random number that belongs
/// to (the row's seed, the position of the token): [rows] int64.
at::Tensor drawn(const at::Tensor& logits, const std::vector<uint64_t>& seeds,
                 const std::vector<int64_t>& positions);

}  // namespace lenswright
