#include "merge/stacks.h"

#include <algorithm>
#include <stdexcept>

#include "base/error.h"
#include "merge/names.h"
#include "merge/plan_config.h"

namespace lenswright {
namespace {

bool is_decoder(const std::string& stack) {
  for (const char* word : {"vision", "visual", "audio", "encoder", "image"}) {
    if (stack.find(word) != std::string::npos) return false;
  }
  return true;
}

}  // namespace

Stacks::Stacks(const Inputs& inputs) {
  for (const auto& input : inputs) {
    auto& stacks = stacks_[input.get()];
    for (const TensorInfo& tensor : input->tensors()) {
      const auto place = layer_of(tensor.name);
      if (!place) continue;
      Layers& layers = stacks[place->stack];
      layers.count = std::max(layers.count, place->layer + 1);
      layers.rests[place->layer].push_back(place->rest);
    }
    // Behind those that config.json names lie layers of another use, such as predicting ahead.
    const auto named = layers_of(input->config());
    for (auto& [stack, layers] : stacks) {
      if (named && is_decoder(stack)) layers.count = std::min(layers.count, *named);
    }
  }
}

int64_t Stacks::layers(const Input& of, const std::string& stack) const {
  const auto& stacks = stacks_.at(&of);
  const auto it = stacks.find(stack);
  return it == stacks.end() ? 0 : it->second.count;
}

std::string Stacks::main(const Input& of) const {
  std::vector<std::string> found;
  for (const auto& [stack, layers] : stacks_.at(&of)) {
    if (is_decoder(stack)) found.push_back(stack);
  }
  if (found.size() == 1) return found.front();
  throw std::invalid_argument("slices: model " + in_quotes(of.name()) + " has " +
                              (found.empty() ? "no layers by name" : "several stacks of layers") +
                              "; expected one");
}

std::vector<std::string> Stacks::rests(const Input& of, const std::string& stack,
                                       int64_t layer) const {
  const auto& stacks = stacks_.at(&of);
  const auto it = stacks.find(stack);
  if (it == stacks.end()) return {};
  const auto found = it->second.rests.find(layer);
  return found == it->second.rests.end() ? std::vector<std::string>() : found->second;
}

}  // namespace lenswright
