#pragma once

#include <map>
#include <string>

#include "model/layer.h"

namespace lenswright {

/// The weights of a block by their canonical names; those a model does not have are undefined.
LayerWeights layer_weights(const std::map<std::string, Weight>& weights, const Spec& spec,
                           int64_t layer);

/// The weight of this canonical name, or an undefined one.
Weight weight_or_none(const std::map<std::string, Weight>& weights, const std::string& name);
/// `prefix`W_`part` and `prefix`b_`part`.
Linear linear_of(const std::map<std::string, Weight>& weights, const std::string& prefix,
                 const std::string& part);
/// `name`.w and `name`.b.
NormWeights norm_of(const std::map<std::string, Weight>& weights, const std::string& name);

}  // namespace lenswright
