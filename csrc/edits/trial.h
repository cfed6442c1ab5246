#pragma once

#include "edits/edit.h"
#include "model/taps.h"

namespace lenswright {

/// Makes a run behave as if the edit were in the weights, before rounding: no weight changes. Where
/// rows carry edits of their own, the batch must have as many. Throws ValueError where a model of
/// this spec has no such writer.
void try_edit(Taps& taps, const Spec& spec, const Edit& edit);

}  // namespace lenswright
