#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "spec/misreadings.h"

namespace lenswright {

// One list for each part of a decoder, each in a file of its own.

using Misreadings = std::vector<Misreading>;
using RowList = std::vector<Row>;

Misreadings position_misreadings();
Misreadings norm_misreadings();
Misreadings attention_misreadings();
Misreadings stream_misreadings();
Misreadings mlp_misreadings();
Misreadings mixture_misreadings();
Misreadings storage_misreadings();
/// Other values of the spec's numbers: those config.json states, and the field's usual ones.
Misreadings number_misreadings(const Spec& spec);

/// A value that a number of the spec may have, and how it is called: "50 (attn_logit_softcapping)".
struct NamedNumber {
  std::string name;
  double value = 0.0;
};

Misreadings window_misreadings();
/// Windows of these sizes, where there is another or none.
Misreadings window_misreadings(const Spec& spec, const std::vector<NamedNumber>& windows);

// What they have in common.

/// Whether a block, or the model, has a weight whose canonical name ends so ("attn.W_Q").
bool has_row(const RowList& rows, std::string_view ending);
/// Other endings of canonical names: each of two takes the other's place.
void exchange(RowList& rows, std::string_view first, std::string_view second);
/// Weights no longer found under their names, and back; they stay loaded.
void set_aside(RowList& rows, std::string_view ending);
void take_back(RowList& rows, std::string_view ending);
bool is_aside(const RowList& rows, std::string_view ending);

/// The numbers differ by more than rounding.
inline bool differ(double a, double b) { return std::abs(a - b) > 1e-9 * std::abs(b); }

}  // namespace lenswright
