#pragma once

#include <map>
#include <string>

#include "edits/factors.h"
#include "model/model.h"

namespace lenswright {

/// Factors that add `vector` [d_model], or [rows, d_model], to the residual before block `place`
/// (n_layers: behind the last), for every token and exactly, by writer.
///
/// Before the first block that is the token embedding's table, or the bias of the norm behind it;
/// further on the bias of the block before: its MLP's, its attention's where both read the same
/// residual, or its experts' where their weights sum to a constant. Multipliers of the embedding
/// and the residual are divided out. ValueError where the architecture has nothing there that could
/// add a constant.
std::map<std::string, Factors> constant_at(const Model& model, int64_t place,
                                           const at::Tensor& vector);

}  // namespace lenswright
