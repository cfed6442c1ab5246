#pragma once

#include <map>
#include <memory>
#include <string>

#include "edits/edit.h"
#include "model/model.h"

namespace lenswright {

/// An edit of a model from factors for each writer, by its canonical name: they are checked against
/// the writers, which are noted with the hashes of their tensors. `reasons`: why a writer is left
/// alone, for those where there is more to say than that nobody asked; `notes`: what else there is
/// to say of one that is not.
std::shared_ptr<Edit> make_edit(const Model& model, const std::map<std::string, Factors>& factors,
                                const std::map<std::string, std::string>& reasons,
                                const std::map<std::string, std::string>& notes, Json provenance);

}  // namespace lenswright
