#include "nn/rope_frequencies.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <numbers>
#include <tuple>

namespace lenswright {
namespace {

// theta^(2i / dim), arXiv:2104.09864, eq. 15, whose reciprocals are the frequencies.
at::Tensor wavelengths(const at::Tensor& theta, int64_t dim) {
  return at::pow(theta, at::arange(0, dim, 2, theta.options()) / static_cast<double>(dim));
}

at::Tensor scalar(double value, const at::TensorOptions& options) {
  return at::scalar_tensor(value, options);
}

// Long waves are stretched, short ones kept, those between are mixed.
at::Tensor by_wavelength(const at::Tensor& plain, const Rope& r) {
  const double ctx = static_cast<double>(r.original_ctx);
  // Python divides a number by a tensor by way of the reciprocal; so does this, to the bit.
  const at::Tensor wave = plain.reciprocal() * (2 * std::numbers::pi);
  const double longest = ctx / r.low_freq_factor, shortest = ctx / r.high_freq_factor;
  const at::Tensor stretched = at::where(wave > longest, plain / r.factor, plain);
  const at::Tensor mix =
      (wave.reciprocal() * ctx - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
  const at::Tensor mixed = (1 - mix) * stretched / r.factor + mix * stretched;
  const at::Tensor between = at::logical_and(wave >= shortest, wave <= longest);
  return at::where(between, mixed, stretched);
}

// The pair that turns `rotations` times within the original length, arXiv:2309.00071, eq. 19.
double turning(double rotations, const Rope& r) {
  const double ctx = static_cast<double>(r.original_ctx);
  return static_cast<double>(r.dim) * std::log(ctx / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(r.theta));
}

// arXiv:2309.00071, eq. 21 to 23.
at::Tensor by_parts(const at::Tensor& waves, const Rope& r) {
  double low = turning(r.beta_fast, r), high = turning(r.beta_slow, r);
  if (r.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(r.dim - 1));
  if (low == high) high += 0.001;
  const at::Tensor pairs = at::arange(r.dim / 2, waves.options());
  const at::Tensor kept = 1 - ((pairs - low) / (high - low)).clamp(0, 1);
  return (r.factor * waves).reciprocal() * (1 - kept) + waves.reciprocal() * kept;
}

at::Tensor by_factors(const std::vector<double>& factors, const Rope& r,
                      const at::TensorOptions& options) {
  const at::Tensor stretch = at::tensor(factors, at::kDouble).to(options);
  return (stretch * wavelengths(scalar(r.theta, options), r.dim)).reciprocal();
}

// Those of a base that grows with the length of the row, each row's by itself: a power rounds by
// the company it is computed in.
at::Tensor by_grown_base(const at::Tensor& lengths, const Rope& r,
                         const at::TensorOptions& options) {
  const double dim = static_cast<double>(r.dim), ctx = static_cast<double>(r.original_ctx);
  std::vector<at::Tensor> rows;
  for (const at::Tensor& length : lengths.unbind()) {
    const at::Tensor grown = scalar(r.factor, options) * length.to(options) / ctx - (r.factor - 1);
    const at::Tensor theta = scalar(r.theta, options) * at::pow(grown, dim / (dim - 2));
    rows.push_back(wavelengths(theta, r.dim).reciprocal());
  }
  return at::stack(rows);
}

// Rows longer than the original length have frequencies of their own.
at::Tensor by_length(const at::Tensor& usual, const at::Tensor& lengths, const Rope& r) {
  const at::Tensor past = lengths > r.original_ctx;  // [batch]
  if (!past.any().item<bool>()) return usual;
  const auto options = usual.options();
  const at::Tensor longer = r.scaling == RopeScaling::longrope
                                ? by_factors(r.long_factors, r, options).unsqueeze(0)
                                : by_grown_base(lengths, r, options);
  return at::where(past.unsqueeze(-1), longer, usual.unsqueeze(0));
}

bool by_row(const Rope& rope) {
  return rope.scaling == RopeScaling::dynamic || rope.scaling == RopeScaling::longrope;
}

auto numbers_of(const Rope& r) {
  return std::tuple(r.theta, r.dim, r.scaling, r.factor, r.original_ctx, r.low_freq_factor,
                    r.high_freq_factor, r.beta_fast, r.beta_slow, r.truncate);
}

at::Tensor computed(const Rope& rope, const at::Tensor& lengths) {
  const auto f32 = lengths.options().dtype(at::kFloat);
  const at::Tensor waves = wavelengths(scalar(rope.theta, f32), rope.dim);
  switch (rope.scaling) {
    case RopeScaling::plain:
      return waves.reciprocal();
    case RopeScaling::linear:
      return waves.reciprocal() / rope.factor;
    case RopeScaling::llama3:
      return by_wavelength(waves.reciprocal(), rope);
    case RopeScaling::yarn:
      return by_parts(waves, rope);
    case RopeScaling::dynamic:
      return by_length(waves.reciprocal(), lengths, rope);
    case RopeScaling::longrope:
      return by_length(by_factors(rope.short_factors, rope, f32), lengths, rope);
  }
  TORCH_INTERNAL_ASSERT(false, "unknown rope scaling");
}

}  // namespace

// Rules are few and every run asks for them: in short runs their five small products are felt.
at::Tensor rope_frequencies(const Rope& rope, const at::Tensor& lengths) {
  if (by_row(rope) || !lengths.is_cpu()) return computed(rope, lengths);
  static std::mutex lock;
  static std::map<decltype(numbers_of(rope)), at::Tensor> known;
  const std::lock_guard guard(lock);
  at::Tensor& found = known[numbers_of(rope)];
  if (!found.defined()) {
    const c10::InferenceMode no_inference(false);
    found = computed(rope, lengths);
  }
  return found;
}

}  // namespace lenswright
