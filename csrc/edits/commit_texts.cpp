#include "edits/commit_texts.h"

#include <algorithm>

#include "edits/config_text.h"
#include "io/open_file.h"

namespace lenswright {
namespace {

constexpr const char* kTied = "tie_word_embeddings";

}  // namespace

std::string record_text(const Checkpoint& input, const Edit& edit, const Committed& done) {
  Json step = Json::object(), tensors = Json::object(), steps = Json::array();
  for (const auto& [name, change] : done.changed) {
    Json hashes = Json::object();
    hashes.set("before", change.before);
    hashes.set("after", change.after);
    tensors.set(name, hashes);
  }
  step.set("edit", edit.id());
  step.set("provenance", edit.provenance());
  step.set("tensors", tensors);
  if (!done.added.empty()) step.set("added", done.added);
  const auto files = input.other_files();
  if (std::ranges::find(files, kRecord) != files.end()) {
    steps = Json::parse(read_text(input.file(kRecord)), kRecord).at("steps");
  }
  steps.push_back(step);
  Json record = Json::object();
  record.set("format", "lenswright record 1");
  record.set("steps", steps);
  return record.dump(2) + "\n";
}

std::string index_text(const CommitPlan& plan) {
  const Checkpoint& in = *plan.checkpoint;
  Json index = Json::parse(read_text(in.file(in.index_name())), in.index_name());
  std::map<std::string, Json> places = {{plan.head, plan.embedding.file}};
  for (const auto& [name, shard] : index.at("weight_map").items()) places[name] = shard;
  Json map = Json::object();
  for (const auto& [name, shard] : places) map.set(name, shard);
  index.set("weight_map", map);
  if (index.contains("metadata")) {
    Json metadata = index.at("metadata");
    const auto grow = [&](const char* key, int64_t by) {
      if (!metadata.contains(key) || !metadata.at(key).is_integer()) return;
      metadata.set(key, metadata.at(key).as_int() + by);
    };
    grow("total_size", static_cast<int64_t>(plan.embedding.bytes()));
    grow("total_parameters", plan.embedding.numel());
    index.set("metadata", metadata);
  }
  return index.dump(2) + "\n";
}

std::string untied_config_text(const CommitPlan& plan) {
  const Checkpoint& in = *plan.checkpoint;
  const std::string text =
      with_flag(read_text(in.file("config.json")), kTied, false, "config.json");
  // Of models that also see the outer flag decides, of some the decoder's own as well.
  const Json& config = in.config();
  const Json inner = config.contains("text_config") ? config.at("text_config") : Json();
  const bool both = inner.contains(kTied) && inner.at(kTied) == Json(true);
  return both ? with_flag_in(text, "text_config", kTied, false, "config.json") : text;
}

}  // namespace lenswright
