#include "edits/record.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "edits/changes.h"
#include "edits/edit_json.h"
#include "edits/model_card.h"
#include "io/open_file.h"

namespace lenswright {
namespace {

bool has_record(const Checkpoint& folder) {
  return std::ranges::count(folder.other_files(), kRecord) > 0;
}

Json steps_of(const Checkpoint& folder) {
  if (!has_record(folder)) return Json::array();
  return Json::parse(read_text(folder.file(kRecord)), kRecord).at("steps");
}

RecordStep step_of(const Json& json) {
  RecordStep step;
  step.id = json.at("edit").as_string();
  TORCH_CHECK_VALUE(json.contains("factors"), json.where(),
                    " has no factors: it was committed by an earlier version, which kept none");
  step.edit = whole_edit_of(json.at("factors"), json.at("provenance"));
  TORCH_CHECK_VALUE(step.edit->id() == step.id, json.where(),
                    " has factors of another edit: their "
                    "id is ",
                    step.edit->id(), ", expected ", step.id);
  for (const auto& [name, change] : json.at("tensors").items()) {
    step.tensors[name] = {change.at("before").as_string(), change.at("after").as_string()};
  }
  if (json.contains("added")) step.added = json.at("added").as_string();
  if (json.contains("dequantised"))
    step.dequantised = json.at("dequantised").at("tensors").as_int();
  if (json.contains("journal")) step.journal = json.at("journal").as_string();
  step.card = json.contains("card");
  return step;
}

Json json_of(const Edit& edit, const Committed& done, const std::string& measured) {
  Json step = Json::object(), tensors = Json::object();
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
  if (done.dequantised > 0) {
    Json dequantised = Json::object();
    dequantised.set("tensors", done.dequantised);
    dequantised.set("from", name_of(done.form));
    dequantised.set("to", wire_name(kDequantised));
    step.set("dequantised", dequantised);
  }
  if (!done.journal.empty()) step.set("journal", done.journal);
  if (done.card) step.set("card", kCard);
  if (!measured.empty()) step.set("measured", Json::parse(measured, "measured"));
  step.set("factors", whole_edit_json(edit));
  return step;
}

}  // namespace

std::vector<RecordStep> read_record(const Checkpoint& folder) {
  TORCH_CHECK_VALUE(has_record(folder), "folder ", folder.folder().string(), " has no ", kRecord,
                    ": expected one that a commit wrote");
  std::vector<RecordStep> steps;
  for (const Json& json : steps_of(folder).elements()) steps.push_back(step_of(json));
  TORCH_CHECK_VALUE(!steps.empty(), kRecord, " has no steps, expected one at least");
  return steps;
}

size_t recorded_steps(const Checkpoint& folder) { return steps_of(folder).size(); }

std::string record_text(const Checkpoint& input, const Edit& edit, const Committed& done,
                        const std::string& measured) {
  Json steps = steps_of(input);
  steps.push_back(json_of(edit, done, measured));
  Json record = Json::object();
  record.set("format", "lenswright record 1");
  record.set("steps", steps);
  return record.dump(2) + "\n";
}

}  // namespace lenswright
