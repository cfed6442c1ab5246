#pragma once

#include <ATen/core/Tensor.h>

#include "base/arithmetic.h"

namespace lenswright {

/// relu; relu2, its square (So et al. 2021, arXiv:2109.08668); gelu (Hendrycks and Gimpel 2016,
/// arXiv:1606.08415) exact, by tanh, or as x · sigmoid(alpha x); silu = x · sigmoid(x). xielu has
/// weights and so a function of its own.
at::Tensor activation(const at::Tensor& x, Activation function, double alpha = 1.702);

/// Whether a number's result depends on that number only, wherever it stands and in any run: what
/// is cut in slices then has the bytes of the whole.
bool activation_by_number(const at::Tensor& x, Activation function);

/// to = activation(x), or activation(x) · factor where there is one, without a graph; `to` is
/// dense. The same bytes as those of the parts.
void activation_into(at::Tensor to, const at::Tensor& x, const at::Tensor& factor,
                     Activation function, double alpha = 1.702);

/// Huang and Schlag 2024, arXiv:2411.13010, eq. 6, with the weights as checkpoints store them: one
/// number each.
struct Xielu {
  at::Tensor alpha_p, alpha_n, beta, eps;
};
at::Tensor xielu(const at::Tensor& x, const Xielu& weights);

}  // namespace lenswright
