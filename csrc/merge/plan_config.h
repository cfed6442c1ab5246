#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "merge/input.h"

namespace lenswright {

/// config.json without what is about other towers: text_config where there is one.
Json decoder_part(const Json& config);
/// The number of layers that config.json names; none where it names none.
std::optional<int64_t> layers_of(const Json& config);
bool ties_embeddings(const Json& config);
std::string model_type(const Json& config);
/// How the weights are quantised ("" for not at all).
std::string quantised_by(const Json& config);
/// Of models that also see, the decoder's keys are within text_config: that, else the whole.
Json decoder_part(const Json& config);
/// config.json without what it says of quantised weights.
Json without_quantisation(const Json& config);

/// Where a layer of the output was taken from.
struct LayerOrigin {
  std::shared_ptr<const Input> input;
  int64_t layer;
};

/// config.json with the number of layers, and every list that has one entry for each layer, as
/// `origins` say. Throws std::invalid_argument naming a key that cannot be carried over.
Json with_layers(const Json& config, const std::vector<LayerOrigin>& origins);

/// config.json with a key set wherever it stands already (outside or in text_config), else outside.
Json with_key(const Json& config, std::string_view key, const Json& value);

}  // namespace lenswright
