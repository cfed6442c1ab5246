#include "edits/commit_journal.h"

#include <algorithm>

#include "base/corrections.h"
#include "base/sha256.h"
#include "edits/model_card.h"
#include "edits/record.h"
#include "edits/segments.h"

namespace lenswright {
namespace {

Json range_json(PieceRange range) {
  Json json = Json::object();
  json.set("first", range.first);
  json.set("count", range.count);
  return json;
}

}  // namespace

std::string journal_name(size_t step) { return "lenswright-" + std::to_string(step) + ".journal"; }

CommitJournal::CommitJournal(const CommitPlan& plan, FolderWriter& out, std::string name, bool card)
    : plan_(plan), name_(std::move(name)), writer_(out.create(name_)) {
  const Checkpoint& in = *plan.checkpoint;
  std::vector<std::string> rewritten;
  if (in.has_config()) rewritten.emplace_back("config.json");
  if (!in.index_name().empty()) rewritten.push_back(in.index_name());
  if (recorded_steps(in) > 0) rewritten.emplace_back(kRecord);
  if (card && std::ranges::count(in.other_files(), kCard) > 0) rewritten.emplace_back(kCard);
  for (const std::string& file : rewritten) files_.set(file, text(read_text(in.file(file))));
  for (const std::string& shard : in.shards()) {
    shards_.set(shard, plan.rearranges(shard) ? text(in.header_bytes(shard)) : Json());
  }
}

Json CommitJournal::text(std::string_view text) {
  Json json = Json::object();
  const size_t piece = writer_.reserve("texts", 1);
  json.set("piece", piece);
  json.set("sha256", Sha256::hex(std::as_bytes(std::span(text.data(), text.size()))));
  writer_.put(piece, text);
  return json;
}

void CommitJournal::start(const std::string& shard, std::vector<std::function<void()>>& tasks) {
  for (const TensorInfo& tensor : plan_.checkpoint->header(shard).tensors) {
    if (!plan_.replaced.contains(tensor.name)) continue;
    Kept& kept = kept_.emplace_back(tensor);
    kept.count = static_cast<size_t>((tensor.bytes() + kSlabBytes - 1) / kSlabBytes);
    kept.first = writer_.reserve("kept " + tensor.name, kept.count);
    for (size_t i = 0; i < kept.count; ++i) {
      tasks.emplace_back([this, &kept, i] { keep(kept, i); });
    }
  }
}

void CommitJournal::keep(Kept& kept, size_t index) {
  const auto all = plan_.checkpoint->data(kept.info);
  const size_t begin = index * static_cast<size_t>(kSlabBytes);
  const auto bytes = all.subspan(begin, std::min<size_t>(kSlabBytes, all.size() - begin));
  try {
    writer_.put(kept.first + index, encode_bytes(bytes));
    kept.hash.add(static_cast<int64_t>(index), bytes);
  } catch (...) {
    kept.hash.fail(std::current_exception());
    throw;
  }
}

void CommitJournal::finish(const Edit& edit, Committed& done) {
  Json about = Json::object(), tensors = Json::object(), kept = Json::object();
  for (const auto& [name, change] : done.changed) {
    if (plan_.targets.at(name).quantised) continue;
    Json json = range_json(writer_.range(name));
    json.set("before", change.before);
    json.set("after", change.after);
    tensors.set(name, json);
  }
  for (const Kept& one : kept_) {
    Json json = range_json({one.first, one.count});
    json.set("sha256", one.hash.hex());
    kept.set(one.info.name, json);
  }
  about.set("format", "lenswright journal 1");
  about.set("edit", edit.id());
  about.set("slab", kSlabBytes);
  about.set("files", files_);
  about.set("shards", shards_);
  about.set("tensors", tensors);
  about.set("kept", kept);
  done.journal = name_;
  done.journal_bytes = writer_.finish(about);
}

}  // namespace lenswright
