#include "edits/commit_texts.h"

#include <functional>
#include <numeric>

#include "edits/config_text.h"
#include "io/open_file.h"

namespace lenswright {
namespace {

constexpr const char* kTied = "tie_word_embeddings";

// How many bytes and numbers more than the checkpoint the plan writes.
std::pair<int64_t, int64_t> growth(const CommitPlan& plan) {
  int64_t bytes = plan.bytes(), numbers = 0;
  for (const std::string& shard : plan.checkpoint->shards()) {
    for (const TensorSpec& spec : plan.contents(shard)) {
      numbers +=
          std::accumulate(spec.shape.begin(), spec.shape.end(), int64_t{1}, std::multiplies());
    }
  }
  for (const TensorInfo& tensor : plan.checkpoint->tensors()) {
    bytes -= static_cast<int64_t>(tensor.bytes());
    numbers -= tensor.numel();
  }
  return {bytes, numbers};
}

std::string untied(const CommitPlan& plan, std::string text) {
  text = with_flag(text, kTied, false, "config.json");
  // Of models that also see the outer flag decides, of some the decoder's own as well.
  const Json& config = plan.checkpoint->config();
  const Json inner = config.contains("text_config") ? config.at("text_config") : Json();
  const bool both = inner.contains(kTied) && inner.at(kTied) == Json(true);
  return both ? with_flag_in(text, "text_config", kTied, false, "config.json") : text;
}

// The type of a config's weights, where it says one; at the top it always does.
void set_type(Json& config, bool always) {
  bool there = false;
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!config.contains(key)) continue;
    config.set(key, "bfloat16");
    there = true;
  }
  if (!there && always) config.set("dtype", "bfloat16");
}

std::string dequantised(const std::string& text) {
  Json config = Json::parse(text, "config.json");
  config.erase("quantization_config");
  set_type(config, true);
  if (config.contains("text_config") && config.at("text_config").is_object()) {
    Json inner = config.at("text_config");
    set_type(inner, false);
    config.set("text_config", inner);
  }
  return config.dump(2) + "\n";
}

}  // namespace

std::string index_text(const CommitPlan& plan) {
  const Checkpoint& in = *plan.checkpoint;
  Json index = Json::parse(read_text(in.file(in.index_name())), in.index_name());
  std::map<std::string, Json> places;
  for (const std::string& shard : in.shards()) {
    for (const TensorSpec& spec : plan.contents(shard)) places[spec.name] = shard;
  }
  Json map = Json::object();
  for (const auto& [name, shard] : places) map.set(name, shard);
  index.set("weight_map", map);
  if (index.contains("metadata")) {
    Json metadata = index.at("metadata");
    const auto grow = [&](const char* key, int64_t by) {
      if (!metadata.contains(key) || !metadata.at(key).is_integer()) return;
      metadata.set(key, metadata.at(key).as_int() + by);
    };
    const auto [bytes, numbers] = growth(plan);
    grow("total_size", bytes);
    grow("total_parameters", numbers);
    index.set("metadata", metadata);
  }
  return index.dump(2) + "\n";
}

std::string config_text(const CommitPlan& plan) {
  std::string text = read_text(plan.checkpoint->file("config.json"));
  if (plan.unties) text = untied(plan, std::move(text));
  return plan.replaced.empty() ? text : dequantised(text);
}

}  // namespace lenswright
