#include "edits/factor_algebra.h"

#include <ATen/ATen.h>

namespace lenswright {
namespace {

bool has_left(const Factors& f) { return f.s.defined() || f.u.defined(); }

// A diagonal before vectors [k, d] or [rows, k, d].
at::Tensor over_vectors(const at::Tensor& diagonal) { return diagonal.unsqueeze(-2); }

// Vectors of both, one after the other; where only one has rows the other is repeated.
at::Tensor joined(const at::Tensor& x, const at::Tensor& y) {
  if (!x.defined()) return y;
  if (!y.defined()) return x;
  const int64_t rows = x.dim() == 3 ? x.size(0) : y.dim() == 3 ? y.size(0) : 0;
  const auto wide = [&](const at::Tensor& t) {
    return rows == 0 || t.dim() == 3 ? t : t.unsqueeze(0).expand({rows, -1, -1});
  };
  return at::cat({wide(x), wide(y)}, -2).contiguous();
}

at::Tensor added(const at::Tensor& x, const at::Tensor& y) {
  return !x.defined() ? y : !y.defined() ? x : x + y;
}

at::Tensor product(const at::Tensor& x, const at::Tensor& y) {
  return !x.defined() ? y : !y.defined() ? x : x * y;
}

at::Tensor or_ones(const at::Tensor& diagonal, const at::Tensor& like) {
  return diagonal.defined() ? diagonal : at::ones({like.size(-1)}, at::kDouble);
}

void check_no_zeros(const at::Tensor& diagonal, const char* what, const std::string& writer) {
  TORCH_CHECK_VALUE(!diagonal.defined() || (diagonal != 0).all().item<bool>(), what, " of '",
                    writer, "' would have to divide by a scale of 0");
}

// S (I - U Vᵀ) x of vectors [..., k, d].
at::Tensor through_left(const Factors& f, at::Tensor x) {
  if (f.u.defined()) x = x - at::matmul(at::matmul(x, f.v.transpose(-1, -2)), f.u);
  return f.s.defined() ? x * over_vectors(f.s) : x;
}

at::Tensor shift_through_left(const Factors& f, const at::Tensor& shift) {
  return shift.defined() ? through_left(f, shift.unsqueeze(-2)).squeeze(-2) : shift;
}

// The left factors S (I - U Vᵀ) of the sum of two, the identity counted once.
void add_left(Factors& to, const Factors& x, const Factors& y, const std::string& writer) {
  if (!x.s.defined() && !y.s.defined()) {
    to.u = joined(x.u, y.u);
    to.v = joined(x.v, y.v);
    return;
  }
  to.s = or_ones(x.s, x.s.defined() ? x.s : y.s) + or_ones(y.s, x.s.defined() ? x.s : y.s) - 1.0;
  check_no_zeros(to.s, "the sum", writer);
  const auto part = [&](const Factors& f) {
    return f.u.defined() ? over_vectors(f.s.defined() ? f.s / to.s : to.s.reciprocal()) * f.u
                         : at::Tensor();
  };
  to.u = joined(part(x), part(y));
  to.v = joined(x.v, y.v);
}

}  // namespace

Factors scaled(const Factors& f, double t, const std::string& writer) {
  TORCH_CHECK_VALUE(t == 1.0 || !f.c.defined() || !has_left(f), "the edit of '", writer,
                    "' scales inputs and changes outputs: ", t,
                    " times it has no form of its own; expected 1, or another strength when it is "
                    "made");
  if (t == 1.0) return f;
  Factors result = f;
  if (f.c.defined()) result.c = 1.0 + t * (f.c - 1.0);
  if (f.s.defined()) {
    result.s = 1.0 + t * (f.s - 1.0);
    check_no_zeros(result.s, "the scaled edit", writer);
    if (f.u.defined()) result.u = t * over_vectors(f.s / result.s) * f.u;
  } else if (f.u.defined()) {
    result.u = t * f.u;
  }
  if (f.a.defined()) result.a = t * f.a;
  if (f.shift.defined()) result.shift = t * f.shift;
  return result;
}

Factors sum(const Factors& x, const Factors& y, const std::string& writer) {
  const auto bare = [](const Factors& f) { return !has_left(f) && !f.c.defined(); };
  Factors result;
  if (bare(x) || bare(y)) {
    result = bare(x) ? y : x;
  } else if (!x.c.defined() && !y.c.defined()) {
    add_left(result, x, y, writer);
  } else {
    TORCH_CHECK_VALUE(!has_left(x) && !has_left(y), "both edits change '", writer,
                      "', one of them by scaling its inputs: their sum has no form of its own; "
                      "expected first.then(second)");
    result.c = x.c + y.c - 1.0;
  }
  result.a = joined(x.a, y.a);
  result.b = joined(x.b, y.b);
  result.shift = added(x.shift, y.shift);
  return result;
}

Factors composed(const Factors& f, const Factors& g, const std::string& writer) {
  Factors result;
  result.s = product(f.s, g.s);
  result.c = product(f.c, g.c);
  result.u = f.u;
  result.v = f.v;
  if (g.u.defined()) {
    // (I - U V) S = S (I - (U/S) (S V)), and (I - u v)(I - U V) = I - U V - u (v - (v·U) V).
    at::Tensor u = g.u, v = g.v;
    if (f.s.defined()) {
      check_no_zeros(f.s, "what follows the first edit", writer);
      u = u / over_vectors(f.s);
      v = v * over_vectors(f.s);
    }
    if (f.u.defined()) v = v - at::matmul(at::matmul(v, f.u.transpose(-1, -2)), f.v);
    result.u = joined(f.u, u);
    result.v = joined(f.v, v);
  }
  if (f.a.defined()) {
    result.a = joined(through_left(g, f.a), g.a);
    result.b = joined(g.c.defined() ? f.b * over_vectors(g.c) : f.b, g.b);
  } else {
    result.a = g.a;
    result.b = g.b;
  }
  result.shift = added(shift_through_left(g, f.shift), g.shift);
  return result;
}

Factors inverse(const Factors& f, const std::string& writer) {
  constexpr double kGone = 1e-9;
  Factors result;
  check_no_zeros(f.s, "the inverse", writer);
  check_no_zeros(f.c, "the inverse", writer);
  if (f.s.defined()) result.s = f.s.reciprocal();
  if (f.c.defined()) result.c = f.c.reciprocal();
  if (f.u.defined()) {
    // (I - U Vᵀ)⁻¹ = I + U (I - VᵀU)⁻¹ Vᵀ, and S⁻¹ is brought to its left.
    const at::Tensor kept =
        at::eye(f.u.size(-2), at::kDouble) - at::matmul(f.v, f.u.transpose(-1, -2));
    TORCH_CHECK_VALUE(at::linalg_svdvals(kept).min().item<double>() > kGone, "the edit of '",
                      writer,
                      "' removes a direction whole, which nothing can bring back; expected "
                      "edit.revert(model), or the checkpoint it was made from");
    const at::Tensor u = -at::linalg_solve(kept.transpose(-1, -2), f.u);
    result.u = f.s.defined() ? u * over_vectors(f.s) : u;
    result.v = f.s.defined() ? f.v / over_vectors(f.s) : f.v;
  }
  if (f.a.defined()) {
    result.a = -through_left(result, f.a);
    result.b = result.c.defined() ? f.b * over_vectors(result.c) : f.b;
  }
  if (f.shift.defined()) result.shift = -shift_through_left(result, f.shift);
  return result;
}

}  // namespace lenswright
