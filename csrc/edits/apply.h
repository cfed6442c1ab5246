#pragma once

#include "edits/edit.h"
#include "model/model.h"

namespace lenswright {

/// Puts the edit into the model's weights: exact, rounded once to the type each is stored in, the
/// same bytes that a commit writes. The checkpoint's file stays as it is. Tied embeddings are
/// untied where the token embedding is edited. Of a quantised tensor the model then holds the whole
/// in bfloat16, what commit() writes, until it is reverted. Nothing is changed unless all can be.
///
/// ValueError: a writer the model lacks, tensors other than those the edit was made for, a tensor
/// that already carries an edit (rounding twice is not exact: revert that one first).
void apply(Model& model, const Edit& edit);

/// Takes an applied edit back: every tensor is the file's again. ValueError where it is not
/// applied.
void revert(Model& model, const Edit& edit);

/// Whether every tensor that the edit touches carries it.
bool is_applied(const Model& model, const Edit& edit);

}  // namespace lenswright
