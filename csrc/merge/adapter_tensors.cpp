#include "merge/adapter_tensors.h"

#include <regex>

#include "base/error.h"
#include "merge/names.h"
#include "merge/plan_config.h"
#include "merge/refuse.h"

namespace lenswright {

AdapterTensors::AdapterTensors(const Input& model, const Input& adapter,
                               const AdapterConfig& config)
    : model_(model), adapter_(adapter), config_(config) {
  for (const TensorInfo& tensor : adapter.tensors()) read(tensor);
  for (auto& [target, pair] : pairs) check(target, pair);
  for (const TensorInfo* head : tied_heads_) check_tied(*head);
}

void AdapterTensors::read(const TensorInfo& tensor) {
  static const std::regex kFactor(
      R"((.*)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B)(\.default)?(\.weight)?)");
  std::string name = tensor.name;
  if (name.starts_with("base_model.model.")) name = name.substr(17);
  std::smatch match;
  static const std::regex kBias(R"((.*)\.lora_B(\.default)?\.bias)");
  if (std::regex_match(name, match, kBias)) {
    pairs[known(match[1].str() + ".bias", tensor)].b = &tensor;
    return;
  }
  if (std::regex_match(name, match, kFactor)) {
    const std::string target = known(match[1].str() + ".weight", tensor);
    AdapterPair& pair = pairs[target];
    const std::string factor = match[2].str();
    (factor.ends_with('A') ? pair.a : pair.b) = &tensor;
    pair.transposed = factor.find("embedding") != std::string::npos;
    return;
  }
  static const std::regex kSaved(R"(\.modules_to_save(\.default)?)");
  const std::string saved = std::regex_replace(name, kSaved, "");
  if (model_.find(saved) == nullptr && is_head(saved) && ties_embeddings(model_.config())) {
    tied_heads_.push_back(&tensor);
    return;
  }
  const std::string target = known(saved, tensor);
  if (model_.find(target)->shape != tensor.shape) {
    refuse_adapter(adapter_.name(), "tensor " + in_quotes(tensor.name) +
                                        " is of another shape than " + in_quotes(target) +
                                        " of the model");
  }
  replaced[target] = &tensor;
}

std::string AdapterTensors::known(const std::string& name, const TensorInfo& tensor) const {
  if (model_.find(name) != nullptr) return name;
  std::vector<std::string> names;
  for (const TensorInfo& one : model_.tensors()) names.push_back(one.name);
  refuse_adapter(adapter_.name(), "tensor " + in_quotes(tensor.name) + " is for " +
                                      in_quotes(name) + ", which the model lacks" +
                                      did_you_mean(name, names));
}

// PEFT saves a head that is tied to the embedding beside it: the same bytes.
void AdapterTensors::check_tied(const TensorInfo& head) const {
  const auto bytes = [&](const TensorInfo& tensor) {
    std::vector<std::byte> room(tensor.bytes());
    const std::byte* from = adapter_.read(tensor, 0, room.size(), room.data());
    return std::vector<std::byte>(from, from + room.size());
  };
  for (const auto& [target, tensor] : replaced) {
    if (is_token_embedding(target) && bytes(*tensor) == bytes(head)) return;
  }
  refuse_adapter(adapter_.name(), "tensor " + in_quotes(head.name) +
                                      " differs from the embedding, which the model ties it to");
}

// The rank that a bias is scaled by is that of its module's weight.
void AdapterTensors::check_bias(const std::string& target, AdapterPair& pair) const {
  const std::string module = target.substr(0, target.size() - 5);
  const auto weight = pairs.find(module + ".weight");
  if (weight == pairs.end() || weight->second.a == nullptr ||
      pair.b->shape != model_.find(target)->shape) {
    refuse_adapter(adapter_.name(),
                   "tensor " + in_quotes(pair.b->name) + " fits no bias of the model");
  }
  pair.scale = config_.scale(module, weight->second.a->shape.front());
}

void AdapterTensors::check(const std::string& target, AdapterPair& pair) const {
  if (target.ends_with(".bias")) return check_bias(target, pair);
  if (pair.a == nullptr || pair.b == nullptr) {
    refuse_adapter(adapter_.name(), "only one factor for " + in_quotes(target));
  }
  pair.transposed = pair.transposed || config_.flag("fan_in_fan_out");
  const auto &a = pair.a->shape, &b = pair.b->shape, &w = model_.find(target)->shape;
  const bool fits = a.size() == 2 && b.size() == 2 && w.size() == 2 && a[0] == b[1] &&
                    w[pair.transposed ? 0 : 1] == a[1] && w[pair.transposed ? 1 : 0] == b[0];
  if (!fits)
    refuse_adapter(adapter_.name(),
                   "the factors for " + in_quotes(target) + " do not fit its shape");
  pair.scale = config_.scale(target.substr(0, target.size() - 7), a[0]);
}

}  // namespace lenswright
