#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lenswright {

/// A tensor of a layer, such as model.layers.3.mlp.up_proj.weight.
struct LayerName {
  std::string stack;  // "model.layers."
  int64_t layer = 0;  // 3
  std::string rest;   // ".mlp.up_proj.weight"

  std::string at(int64_t other) const { return stack + std::to_string(other) + rest; }
};

/// None for a tensor outside of layers. No table of architectures: a layer's number stands behind
/// one of the words that checkpoints use for their stacks (layers, h, blocks, block, layer).
std::optional<LayerName> layer_of(std::string_view tensor);

/// Of tensors outside of layers: true for what comes after them, such as a final norm or a head.
bool comes_last(std::string_view tensor);

/// True for an unembedding.
bool is_head(std::string_view tensor);

/// True for a token embedding.
bool is_token_embedding(std::string_view tensor);

/// True for buffers that are computed at load and that some versions of a library store.
bool is_computed(std::string_view tensor);

}  // namespace lenswright
