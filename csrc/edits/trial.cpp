#include "edits/trial.h"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

#include "nn/deterministic.h"
#include "nn/linear.h"

namespace lenswright {
namespace {

// The factors of a run's batch, or of tokens gathered from it.
class RunFactors {
 public:
  explicit RunFactors(std::shared_ptr<CastFactors> cast) : cast_(std::move(cast)) {}

  RunFactors of(const Gathered& tokens) const {
    RunFactors taken = *this;
    taken.tokens_ = tokens;
    return taken;
  }

  bool differ() const { return cast_->rows() > 0; }

  // Sixteen bits are too few for a projection: it is computed in float there.
  Factors like(const at::Tensor& x) const {
    const Factors& factors = cast_->as(at::toOpMathType(x.scalar_type()), x.device());
    const bool gathered = tokens_.rows.defined();
    const int64_t rows = cast_->rows(), batch = gathered ? tokens_.batch : x.size(0);
    TORCH_CHECK_VALUE(rows == 0 || rows == batch, "the batch has ", batch,
                      " rows, but the edit has one for each of ", rows);
    return gathered ? factors.take(tokens_.rows) : factors;
  }

 private:
  std::shared_ptr<CastFactors> cast_;
  Gathered tokens_;
};

// A diagonal [width] or [rows, width], to be multiplied with [batch, pos, width].
at::Tensor per_row(const at::Tensor& factor) {
  return factor.dim() == 2 ? factor.unsqueeze(1) : factor;
}

// x [batch, pos, d] times factor [k, d] or [rows, k, d]: [batch, pos, k].
at::Tensor along(const at::Tensor& x, const at::Tensor& factor) {
  if (factor.dim() == 2) return linear(x, factor, at::Tensor());
  if (!deterministic()) return at::matmul(x, factor.transpose(1, 2));
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < x.size(0); ++i) {
    rows.push_back(linear(x.narrow(0, i, 1), factor[i], at::Tensor()));
  }
  return at::cat(rows);
}

// y + sign * t factor, with t [batch, pos, k] and factor [k, d] or [rows, k, d].
at::Tensor plus(const at::Tensor& y, const at::Tensor& t, const at::Tensor& factor, double sign) {
  if (t.size(-1) == 1) return at::addcmul(y, t, factor, sign);
  at::Tensor sum = y;
  for (int64_t k = 0; k < t.size(-1); ++k) {
    sum = at::addcmul(sum, t.narrow(-1, k, 1), factor.narrow(-2, k, 1), sign);
  }
  return sum;
}

// factor [n, vocabulary] or [rows, n, vocabulary] at ids [batch, pos]: [batch, pos, n].
at::Tensor picked(const at::Tensor& factor, const at::Tensor& ids) {
  if (factor.dim() == 2) return at::embedding(factor.t(), ids);
  const at::Tensor index = ids.unsqueeze(1).expand({-1, factor.size(1), -1});
  return factor.gather(2, index).transpose(1, 2);
}

at::Tensor left(at::Tensor y, const Factors& f) {
  if (f.u.defined()) y = plus(y, along(y, f.v), f.u, -1.0);
  return f.s.defined() ? y * per_row(f.s) : y;
}

Adapter projection_adapter(const RunFactors& own, const Factors& has) {
  Adapter adapter;
  if (has.c.defined()) {
    adapter.before = [own](at::Tensor input) {
      return (input * per_row(own.like(input).c)).to(input.scalar_type());
    };
  }
  if (has.u.defined() || has.s.defined() || has.a.defined()) {
    adapter.after = [own](const at::Tensor& input, at::Tensor output) {
      const Factors f = own.like(output);
      const at::ScalarType type = at::toOpMathType(output.scalar_type());
      at::Tensor y = left(output.to(type), f);
      if (f.a.defined()) y = plus(y, along(input.to(type), f.b), f.a, 1.0);
      return y.to(output.scalar_type());
    };
  }
  return adapter;
}

// An embedding reads ids, which stand for unit vectors.
Adapter embedding_adapter(const RunFactors& own) {
  Adapter adapter;
  adapter.after = [own](const at::Tensor& ids, at::Tensor output) {
    const Factors f = own.like(output);
    at::Tensor y = left(output.to(at::toOpMathType(output.scalar_type())), f);
    if (f.c.defined()) y = y * picked(f.c.unsqueeze(-2), ids);
    if (f.a.defined()) y = plus(y, picked(f.b, ids), f.a, 1.0);
    return y.to(output.scalar_type());
  };
  return adapter;
}

Adapter adapter_of(WriterKind kind, const Factors& has, const RunFactors& own) {
  const bool embeds =
      kind == WriterKind::token_embedding || kind == WriterKind::positional_embedding;
  Adapter adapter = embeds ? embedding_adapter(own) : projection_adapter(own, has);
  if (has.shift.defined()) {
    adapter.shift = [own](at::Tensor output) {
      const at::Tensor shift = per_row(own.like(output).shift);
      return (output + shift).to(output.scalar_type());
    };
  }
  if (own.differ()) {
    adapter.take = [kind, has, own](const Gathered& tokens) {
      return adapter_of(kind, has, own.of(tokens));
    };
  }
  return adapter;
}

void check_fits(const Part& part, const Spec& spec) {
  TORCH_CHECK_VALUE(!part.place.known(), "the edit changes '", part.writer,
                    "' by its name, without a model that says what it computes: it can be applied "
                    "and committed, not tried");
  TORCH_CHECK_VALUE(has_writer(spec, part.key), "the edit has writer '", part.writer,
                    "', which this model (", spec.n_layers, " layers, ", name_of(spec.position),
                    " positions) does not have");
  const Factors& f = part.factors;
  for (const at::Tensor* factor : {&f.s, &f.u, &f.a, &f.shift}) {
    TORCH_CHECK_VALUE(!factor->defined() || factor->size(-1) == spec.d_model, "the edit of '",
                      part.writer, "' is for a residual of ", factor->size(-1), ", but d_model is ",
                      spec.d_model);
  }
}

}  // namespace

void try_edit(Taps& taps, const Spec& spec, const Edit& edit) {
  for (const Part& part : edit.parts()) check_fits(part, spec);
  for (size_t i = 0; i < edit.parts().size(); ++i) {
    const Part& part = edit.parts()[i];
    taps.adapt(part.key, adapter_of(part.key.kind, part.factors, RunFactors(edit.cast(i))));
  }
}

}  // namespace lenswright
