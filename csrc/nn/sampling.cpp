#include "nn/sampling.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "base/philox.h"

namespace lenswright {
namespace {

constexpr int64_t kCandidates = 1024;
constexpr double kOut = -std::numeric_limits<double>::infinity();

void check_numbers(const at::Tensor& values) {
  const at::Tensor wrong = values.isnan().to(at::kCPU);
  if (!wrong.any().item<bool>()) return;
  const int64_t row = wrong.to(at::kByte).argmax().item<int64_t>();
  TORCH_CHECK_VALUE(false, "the logits of row ", row,
                    " are no numbers (NaN), so no token can be chosen");
}

// Ties with the last one stay in.
at::Tensor top_k_only(const at::Tensor& logits, int64_t k) {
  if (k == 0 || k >= logits.size(-1)) return logits;
  const at::Tensor last = std::get<0>(at::topk(logits, k, -1)).narrow(-1, k - 1, 1);
  return logits.masked_fill(logits < last, kOut);
}

at::Tensor top_p_sorted(const at::Tensor& logits, double p) {
  const auto [sorted, order] = at::sort(logits, /*stable=*/true, -1, /*descending=*/false);
  at::Tensor away = at::softmax(sorted, -1).cumsum(-1) <= 1 - p;
  away.narrow(-1, -1, 1).fill_(false);  // the most probable one always stays
  return logits.masked_fill(at::zeros_like(away).scatter_(-1, order, away), kOut);
}

// Sorting a whole vocabulary takes longer than a small model's step; few tokens hold the most of
// it.
at::Tensor top_p_only(const at::Tensor& logits, double p) {
  if (p >= 1) return logits;
  if (logits.size(-1) <= 4 * kCandidates) return top_p_sorted(logits, p);
  const auto [top, order] = at::topk(logits, kCandidates, -1);
  const at::Tensor held = at::softmax(logits, -1).gather(-1, order);
  at::Tensor away = held.cumsum(-1) - held >= p;  // what is more probable holds p already
  if (!away.narrow(-1, -1, 1).all().item<bool>()) return top_p_sorted(logits, p);
  away.narrow(-1, 0, 1).fill_(false);
  return at::full_like(logits, kOut).scatter_(-1, order, top.masked_fill(away, kOut));
}

at::Tensor min_p_only(const at::Tensor& logits, double p) {
  if (p == 0) return logits;
  const at::Tensor probability = at::softmax(logits, -1);
  return logits.masked_fill(probability < p * probability.amax(-1, /*keepdim=*/true), kOut);
}

}  // namespace

bool Sampling::penalizes() const {
  return repetition_penalty != 1 || frequency_penalty != 0 || presence_penalty != 0;
}

void Sampling::check() const {
  TORCH_CHECK_VALUE(std::isfinite(temperature) && temperature >= 0, "temperature is ", temperature,
                    ", expected 0 (greedy) or a positive number");
  TORCH_CHECK_VALUE(top_k >= 0, "top_k is ", top_k, ", expected at least 1, or 0 for all tokens");
  TORCH_CHECK_VALUE(top_p >= 0 && top_p <= 1, "top_p is ", top_p, ", expected 0 to 1");
  TORCH_CHECK_VALUE(min_p >= 0 && min_p <= 1, "min_p is ", min_p, ", expected 0 to 1");
  TORCH_CHECK_VALUE(std::isfinite(repetition_penalty) && repetition_penalty > 0,
                    "repetition_penalty is ", repetition_penalty,
                    ", expected a positive number (1 does nothing)");
  TORCH_CHECK_VALUE(std::isfinite(frequency_penalty), "frequency_penalty is ", frequency_penalty,
                    ", expected a finite number (0 does nothing)");
  TORCH_CHECK_VALUE(std::isfinite(presence_penalty), "presence_penalty is ", presence_penalty,
                    ", expected a finite number (0 does nothing)");
}

at::Tensor penalized(const at::Tensor& logits, const at::Tensor& seen, const at::Tensor& said,
                     const Sampling& how) {
  at::Tensor x = logits;
  if (how.repetition_penalty != 1) {
    const at::Tensor less =
        at::where(x < 0, x * how.repetition_penalty, x / how.repetition_penalty);
    x = at::where(seen, less, x);
  }
  if (how.frequency_penalty != 0) x = x - said.to(x.scalar_type()) * how.frequency_penalty;
  if (how.presence_penalty != 0) x = x - (said > 0).to(x.scalar_type()) * how.presence_penalty;
  return x;
}

at::Tensor filtered(const at::Tensor& logits, const Sampling& how) {
  at::Tensor x = top_k_only(logits / how.temperature, how.top_k);
  return min_p_only(top_p_only(x, how.top_p), how.min_p);
}

at::Tensor greedy(const at::Tensor& logits) {
  const auto [values, ids] = at::max(logits, -1);
  check_numbers(values);
  return ids;
}

at::Tensor drawn(const at::Tensor& logits, const std::vector<uint64_t>& seeds,
                 const std::vector<int64_t>& positions) {
  const int64_t rows = logits.size(0);
  TORCH_CHECK_VALUE(static_cast<int64_t>(seeds.size()) == rows, "seeds has ", seeds.size(),
                    " entries, expected one for each of ", rows, " rows");
  TORCH_INTERNAL_ASSERT(seeds.size() == positions.size());
  at::Tensor random = at::empty({rows, 1}, at::kDouble);
  for (int64_t row = 0; row < rows; ++row) {
    const auto position = static_cast<uint64_t>(positions[row]);
    random.mutable_data_ptr<double>()[row] = Philox(seeds[row], "generate").uniform(position);
  }
  const at::Tensor probability = at::softmax(logits.to(at::kDouble), -1);
  const at::Tensor below = probability.cumsum(-1);  // not quite 1 at its end
  const at::Tensor total = below.narrow(-1, -1, 1);
  check_numbers(total);
  const at::Tensor ids = (below <= random.to(logits.device()) * total).sum(-1);
  // Where rounding carries the number up to the total itself.
  return at::where(ids == logits.size(-1), probability.argmax(-1), ids);
}

}  // namespace lenswright
