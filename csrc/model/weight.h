#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "nn/quantised.h"
#include "spec/rows.h"

namespace lenswright {

/// One tensor of a checkpoint as it is now: `value` starts as a view of the mapped file; an applied
/// edit puts another tensor there, reverting puts the file's back.
///
/// Of a quantised one `quantised` is the view of the files, and `value` and `original` are
/// undefined: `name` and shape are those of the tensor that it stands for. An applied edit is a
/// `value` in bfloat16.
struct Stored {
  struct Digest {
    std::string sha256;
    int64_t version = -1;  // torch's count of changes in place, when it was taken
  };

  std::string name;
  at::Tensor value;
  at::Tensor original;
  std::string edit{};  // id of the edit that is applied; "" where none is
  Digest digest{};     // of `original`, once somebody asked
  std::shared_ptr<const Quantised> quantised{};
  std::vector<int64_t> shape{};

  /// Whether its numbers are still those of codes and scales.
  bool is_quantised() const { return quantised && !value.defined(); }
  int64_t numel() const;
};

/// A canonical weight: some of the outputs of a stored tensor, never a copy of it.
class Weight {
 public:
  Weight() = default;
  Weight(std::shared_ptr<Stored> stored, const Row& row);

  bool defined() const { return stored_ != nullptr; }
  const std::shared_ptr<Stored>& stored() const { return stored_; }
  int64_t outputs() const { return row_.outputs * row_.times; }

  /// [outputs, inputs] or [outputs], whatever way it lies in its file. Taken anew at each use, so
  /// that gradients and edits of the stored tensor reach it. A copy only where the outputs lie in
  /// several runs, or are repeated, and in float32 where the tensor is quantised.
  at::Tensor view() const;
  /// The same of the tensor without the edit that is applied to it.
  at::Tensor original() const;
  /// x @ view()ᵀ + bias; a quantised weight is widened tile by tile.
  at::Tensor product(const at::Tensor& x, const at::Tensor& bias) const;
  /// This weight's part of what `spanning` gave: [..., its outputs of all] -> [..., outputs].
  at::Tensor part_of(const at::Tensor& all, const Weight& span) const;

  /// One weight that spans these, where they follow one another or take turns in one stored tensor;
  /// undefined otherwise. One product then serves them all.
  static Weight spanning(const std::vector<Weight>& parts);

 private:
  /// Of what is quantised: these outputs as they lie, or the whole matrix where they lie in runs.
  QuantisedPart part() const;
  at::Tensor repeated(const at::Tensor& value) const;

  std::shared_ptr<Stored> stored_;
  Row row_;
};

/// A weight with its bias: the only door to a product with a stored tensor.
struct Linear {
  Weight weight;
  Weight bias;  // may be undefined

  at::Tensor operator()(const at::Tensor& x) const;
  /// Without the bias.
  at::Tensor product(const at::Tensor& x) const;
  at::Tensor bias_or_undefined() const { return bias.defined() ? bias.view() : at::Tensor(); }
};

/// Several products of one input, in one where their weights lie side by side.
class Projections {
 public:
  Projections() = default;
  explicit Projections(std::vector<Linear> parts);
  std::vector<at::Tensor> operator()(const at::Tensor& x) const;
  const Linear& operator[](size_t index) const { return parts_[index]; }

 private:
  std::vector<Linear> parts_;
  Linear whole_;
};

}  // namespace lenswright
