#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "model/layer.h"
#include "model/taps.h"

namespace lenswright {

enum class Logits : uint8_t { none, last, all };

/// What a caller wants of a run besides what its taps see.
struct Wanted {
  Logits logits = Logits::all;
  int start_at_layer = 0;            // the input is then the residual before that layer
  std::optional<int> stop_at_layer;  // exclusive; the output is then the residual before it
  at::Tensor places{};               // [n] of which what lies behind the last block's attention is
                                     // wanted, the only ones to be seen there; undefined: all
};

/// The least work that gives what is wanted: the run goes as deep as the deepest tap or output.
struct Plan {
  int first = 0;                  // first block
  int whole = 0;                  // blocks [first, whole) run to their end
  Until last = Until::resid_pre;  // how far block `whole` runs; unused where whole == n_layers
  bool partial = false;           // whether block `whole` runs at all
  bool final_norm = false;
  Logits logits = Logits::none;
};

/// Throws IndexError where layers are out of range, ValueError where a tap lies outside the run.
Plan make_plan(const Spec& spec, const Taps& taps, const Wanted& wanted);

}  // namespace lenswright
