#include "merge/plan_layout.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "merge/names.h"

namespace lenswright {
namespace {

void set_dtype(const std::vector<Job>& jobs, Json& config) {
  static const std::map<Dtype, const char*> kNames = {{Dtype::bf16, "bfloat16"},
                                                      {Dtype::f16, "float16"},
                                                      {Dtype::f32, "float32"},
                                                      {Dtype::f64, "float64"}};
  std::map<Dtype, int64_t> sizes;
  for (const Job& job : jobs) sizes[job.dtype] += job.numel();
  const auto most = std::ranges::max_element(sizes, {}, [](const auto& one) { return one.second; });
  const auto name = kNames.find(most->first);
  if (name == kNames.end()) return;
  for (const char* key : {"torch_dtype", "dtype"}) {
    const bool inner = config.contains("text_config") && config.at("text_config").contains(key);
    if (config.contains(key) || inner) config = with_key(config, key, name->second);
  }
}

}  // namespace

Json merged_config(const MergePlan& plan, const std::vector<LayerOrigin>& origins) {
  Json config = plan.donor->config();
  if (!origins.empty()) config = with_layers(config, origins);
  bool head = false;
  for (const Job& job : plan.jobs) {
    if (layer_of(job.name)) continue;
    head = head || (is_head(job.name) && job.shape.size() == 2);
    if (is_token_embedding(job.name) && job.operands.front().rows) {
      config = with_key(config, "vocab_size", job.shape.front());
    }
  }
  if (head && ties_embeddings(config)) config = with_key(config, "tie_word_embeddings", false);
  set_dtype(plan.jobs, config);
  return config;
}

std::vector<MergePlan::Shard> shards_of(const std::vector<Job>& jobs, uint64_t most) {
  std::vector<MergePlan::Shard> shards(1);
  uint64_t filled = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const uint64_t bytes = jobs[i].bytes();
    if (filled > 0 && filled + bytes > most) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().jobs.push_back(i);
    filled += bytes;
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    shards[i].file = shards.size() == 1 ? "model.safetensors" : name;
  }
  return shards;
}

}  // namespace lenswright
