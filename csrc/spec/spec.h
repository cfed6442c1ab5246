#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/arithmetic.h"

namespace lenswright {

enum class PositionKind : uint8_t { learned, rope };

/// Rotary positions (Su et al. 2021, arXiv:2104.09864): which part of a head turns, and how fast.
struct Rope {
  double theta = 10000.0;
  int64_t dim = 0;  // numbers of a head that rotate; the rest pass through
  RopeLayout layout = RopeLayout::half;
};

/// What a decoder computes, as plain numbers and enums: the block reads nothing else.
///
/// A new family fills these fields; where it needs arithmetic they cannot say, they grow by an enum
/// or a number, never by a name.
struct Spec {
  std::string family;  // where the numbers came from; shown to people, read by no arithmetic

  int64_t n_layers = 0;
  int64_t d_model = 0;
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t d_head = 0;
  int64_t d_mlp = 0;
  int64_t d_vocab = 0;
  int64_t n_ctx = 0;

  NormKind norm = NormKind::rms;
  double norm_eps = 1e-5;

  PositionKind position = PositionKind::rope;
  Rope rope;

  Activation activation = Activation::silu;
  bool gated = true;  // act(gate(x)) * up(x), else act(up(x))

  std::vector<double> score_scale;  // per layer; multiplies q.k
  bool tied = false;                // unembedding reads the token embedding's weight

  std::vector<std::string> unknown_keys;  // of config.json, that nobody here knows
};

std::string_view name_of(NormKind value);
std::string_view name_of(PositionKind value);
std::string_view name_of(RopeLayout value);
std::string_view name_of(Activation value);

/// The names checkpoints use ("gelu_new", "silu" ...); throws std::invalid_argument otherwise.
Activation activation_from_name(const std::string& name);

}  // namespace lenswright
