#include "model/batch.h"

#include <ATen/ATen.h>

#include "nn/attention_mask.h"

namespace lenswright {

Batch::Batch(at::Tensor tokens, std::vector<int64_t> lengths, Side side)
    : tokens_(std::move(tokens)), lengths_(std::move(lengths)), side_(side), ragged_(false) {
  TORCH_CHECK_VALUE(tokens_.dim() == 2 && tokens_.scalar_type() == at::kLong, "tokens has shape ",
                    tokens_.sizes(), " and type ", tokens_.scalar_type(),
                    ", expected [batch, pos] of int64");
  TORCH_CHECK_VALUE(tokens_.size(0) > 0 && tokens_.size(1) > 0, "tokens has shape ",
                    tokens_.sizes(), ", expected at least one row and one position");
  if (lengths_.empty()) lengths_.assign(rows(), width());
  TORCH_CHECK_VALUE(static_cast<int64_t>(lengths_.size()) == rows(), "lengths has ",
                    lengths_.size(), " entries, expected one for each of ", rows(), " rows");
  for (int64_t length : lengths_) {
    TORCH_CHECK_VALUE(length >= 1 && length <= width(), "lengths has ", length, ", expected 1 to ",
                      width());
    ragged_ = ragged_ || length != width();
  }
}

Batch::Batch(at::Tensor tokens, const std::vector<Fork>& forks)
    : Batch(std::move(tokens), {}, Side::right) {
  std::vector<size_t> branch_of;  // by place
  for (const Fork& fork : forks) {
    const auto start = static_cast<int64_t>(branch_of.size());
    TORCH_CHECK_VALUE(fork.after >= -1 && fork.after < start, "forks has a stretch after place ",
                      fork.after, ", expected -1 to ", start - 1);
    TORCH_CHECK_VALUE(fork.length >= 1 && start + fork.length <= width(),
                      "forks has a stretch of length ", fork.length, " at place ", start,
                      ", expected 1 to ", width() - start);
    Branch branch{start, fork.length, {}};
    if (fork.after >= 0) {
      const Branch& from = branches_[branch_of[static_cast<size_t>(fork.after)]];
      const int64_t beyond = from.start + from.length - 1 - fork.after;
      branch.path.assign(from.path.begin(), from.path.end() - beyond);
    }
    for (int64_t i = 0; i < fork.length; ++i) branch.path.push_back(start + i);
    branch_of.insert(branch_of.end(), static_cast<size_t>(fork.length), branches_.size());
    branches_.push_back(std::move(branch));
  }
  TORCH_CHECK_VALUE(static_cast<int64_t>(branch_of.size()) == width(), "forks has ",
                    branch_of.size(), " places, expected ", width(), " as tokens");
}

at::Tensor Batch::positions() const {
  if (!branches_.empty()) {
    std::vector<int64_t> depths;
    for (const Branch& branch : branches_) {
      const auto seen = static_cast<int64_t>(branch.path.size());
      for (int64_t i = seen - branch.length; i < seen; ++i) depths.push_back(i);
    }
    return at::tensor(depths, at::kLong).to(tokens_.device()).expand({rows(), width()});
  }
  const at::Tensor places = at::arange(width(), tokens_.options()).unsqueeze(0);
  if (!ragged_ || side_ == Side::right) return places.expand({rows(), width()});
  const at::Tensor starts = width() - at::tensor(lengths_, at::kLong).to(tokens_.device());
  return (places - starts.unsqueeze(1)).clamp_min(0);
}

at::Tensor Batch::last() const {
  if (side_ == Side::left) return at::full({rows()}, width() - 1, tokens_.options());
  return at::tensor(lengths_, at::kLong).to(tokens_.device()) - 1;
}

at::Tensor Batch::mask() const {
  if (!ragged_ || side_ == Side::right) return {};
  const at::Tensor places = at::arange(width(), tokens_.options());
  const at::Tensor starts = width() - at::tensor(lengths_, at::kLong).to(tokens_.device());
  const at::Tensor real = places.unsqueeze(0) >= starts.unsqueeze(1);  // [batch, key]
  const at::Tensor causal = causal_mask(width(), width(), tokens_.options());
  // Padded queries look at themselves, so that no row of the softmax is empty.
  const at::Tensor self = at::eye(width(), tokens_.options().dtype(at::kBool));
  return causal.logical_and(real.view({rows(), 1, 1, width()})).logical_or(self);
}

}  // namespace lenswright
