#include "directions/difference_of_means.h"

#include <ATen/ATen.h>

namespace lenswright {
namespace {

void check(const Moments& positive, const Moments& negative) {
  TORCH_CHECK_VALUE(positive.mean().sizes() == negative.mean().sizes(),
                    "the classes have moments of ", positive.mean().sizes(), " and ",
                    negative.mean().sizes(), ", expected equal shapes");
  for (const Moments* one : {&positive, &negative}) {
    TORCH_CHECK_VALUE(one->count().min().item<int64_t>() > 0,
                      one == &positive ? "positive" : "negative",
                      " has a position without samples, expected at least one");
  }
}

at::Tensor cosine(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum(1) / (a.norm(2, 1) * b.norm(2, 1));
}

at::Tensor split_cosine(const Halves& positive, const Halves& negative) {
  const at::Tensor first = positive.first.mean() - negative.first.mean();
  const at::Tensor second = positive.second.mean() - negative.second.mean();
  at::Tensor filled = at::ones_like(positive.first.count(), at::kBool);
  for (const Halves* halves : {&positive, &negative}) {
    filled = filled.logical_and(halves->first.count() > 0).logical_and(halves->second.count() > 0);
  }
  const at::Tensor value = cosine(first, second);  // 0 / 0 where a difference is zero
  return at::where(filled, value, at::full({}, std::nan(""), value.options()));
}

}  // namespace

Moments Halves::all() const {
  Moments both = first;
  both.merge(second);
  return both;
}

MeanDifference difference_of_means(const Halves& positive, const Halves& negative) {
  const Moments plus = positive.all(), minus = negative.all();
  check(plus, minus);
  MeanDifference result;
  result.raw = plus.mean() - minus.mean();
  result.norm = result.raw.norm(2, 1);
  const at::Tensor divisor = at::where(result.norm > 0, result.norm, at::ones_like(result.norm));
  result.unit = result.raw / divisor.unsqueeze(1);

  const at::Tensor plus_variance = plus.variance(), minus_variance = minus.variance();
  const at::Tensor of_means =
      plus_variance / plus.count().unsqueeze(1) + minus_variance / minus.count().unsqueeze(1);
  result.standard_error = of_means.sum(1).sqrt();
  const at::Tensor squares = result.unit * result.unit;
  const at::Tensor along = (squares * (plus_variance + minus_variance)).sum(1) / 2;
  result.separation = result.norm / along.sqrt();
  result.split_cosine = split_cosine(positive, negative);
  return result;
}

}  // namespace lenswright
