#include "io/checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "base/error.h"
#include "io/folder.h"
#include "io/open_file.h"
#include "io/shard_index.h"

namespace lenswright {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse_changed(std::string_view shard) {
  throw CheckpointError(Flaw::changed, std::string(shard), "the file changed after it was opened");
}

std::vector<std::byte> read_prefix(const OpenFile& file, uint64_t size, const std::string& name) {
  std::vector<std::byte> prefix(std::min<uint64_t>(size, 8));
  const auto read = [&](uint64_t from) {
    if (!read_at(file.get(), from, std::span(prefix).subspan(from))) refuse_changed(name);
  };
  read(0);
  prefix.resize(8 + header_length(prefix, size, name));
  read(8);
  return prefix;
}

}  // namespace

std::shared_ptr<Checkpoint> Checkpoint::open(const fs::path& path, ReadOptions options) {
  if (!fs::exists(path)) {
    throw FileError(ENOENT, "no checkpoint at " + in_quotes(path.string()) +
                                ": there is no such folder or file");
  }
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->path_ = path;
  checkpoint->options_ = options;
  const std::string name = path.filename().string();
  if (fs::is_directory(path)) {
    checkpoint->read_folder(path);
  } else if (name.ends_with(".safetensors.index.json")) {
    checkpoint->folder_ = fs::absolute(path).parent_path();
    checkpoint->read_index(name);
  } else if (name.ends_with(".safetensors")) {
    // The user named this file, so a link may lead anywhere.
    checkpoint->folder_ = fs::absolute(path).parent_path();
    checkpoint->read_shard(name, fs::canonical(path));
  } else {
    refuse_foreign_file(path);
  }
  checkpoint->read_config();
  checkpoint->collect();
  return checkpoint;
}

void Checkpoint::read_folder(const fs::path& folder) {
  folder_ = fs::absolute(folder);
  const std::string name = fs::weakly_canonical(folder).filename().string();
  if (is_partial_name(name)) {
    throw CheckpointError(Flaw::layout, folder.string(),
                          "an output that was never finished; delete it and write it again");
  }
  const WeightFiles weights = choose_weights(list_folder(folder_), folder);
  if (weights.index.empty()) {
    read_shard(weights.file, resolve_file(folder_, weights.file));
  } else {
    read_index(weights.index);
  }
}

void Checkpoint::read_index(const std::string& name) {
  index_name_ = name;
  const ShardIndex index = parse_index(read_text(resolve_file(folder_, name)), name);
  const std::vector<std::string> shards = index.shards();
  // transformers would read model.safetensors and ignore the index: refuse to guess.
  const bool whole_too = fs::exists(folder_ / "model.safetensors");
  if (whole_too && std::find(shards.begin(), shards.end(), "model.safetensors") == shards.end()) {
    throw CheckpointError(Flaw::layout, folder_.string(),
                          "both model.safetensors and " + name +
                              ", which names other files; give the path of the one you mean");
  }
  for (const std::string& shard : shards) read_shard(shard, resolve_file(folder_, shard));
  std::unordered_map<std::string_view, std::string_view> found;  // tensor -> shard
  for (const std::string& shard : shards) {
    for (const TensorInfo& tensor : files_.at(shard).header.tensors) {
      const auto [it, is_new] = found.emplace(tensor.name, shard);
      if (!is_new) {
        throw CheckpointError(Flaw::index, shard, "is also in " + std::string(it->second),
                              tensor.name, tensor.begin);
      }
    }
  }
  for (const auto& [tensor, shard] : index.places) {
    const auto it = found.find(tensor);
    if (it == found.end() || it->second != shard) {
      const std::string elsewhere =
          it == found.end() ? " and in no other" : "; it is in " + std::string(it->second);
      throw CheckpointError(Flaw::index, name, "is not in " + shard + elsewhere, tensor);
    }
    found.erase(it);
  }
  if (!found.empty()) {
    const auto& [tensor, shard] = *found.begin();
    throw CheckpointError(Flaw::index, name,
                          "is in " + std::string(shard) + " but not in the index",
                          std::string(tensor));
  }
}

void Checkpoint::read_shard(const std::string& name, const fs::path& path) {
  const OpenFile file(path);
  Shard shard;
  shard.path = path;
  shard.identity = identity(file.get());
  const uint64_t size = file.size();
  shard.header = parse_header(read_prefix(file, size, name), size, name, options_);
  shards_.push_back(name);
  files_.emplace(name, std::move(shard));
}

void Checkpoint::read_config() {
  if (!fs::exists(folder_ / "config.json")) return;
  config_ = Json::parse(read_text(resolve_file(folder_, "config.json")), "config.json");
  if (!config_->is_object()) {
    throw std::invalid_argument("config.json: expected an object, found " +
                                std::string(config_->type_name()));
  }
}

void Checkpoint::collect() {
  for (const std::string& shard : shards_) {
    const auto& tensors = files_.at(shard).header.tensors;
    tensors_.insert(tensors_.end(), tensors.begin(), tensors.end());
  }
  by_name_.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, i);
}

bool Checkpoint::contains(std::string_view name) const { return by_name_.contains(name); }

const TensorInfo& Checkpoint::info(std::string_view name) const {
  const auto it = by_name_.find(name);
  if (it != by_name_.end()) return tensors_[it->second];
  throw std::out_of_range(path_.string() + ": no tensor " + in_quotes(name) +
                          did_you_mean(name, names()));
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> out;
  for (const TensorInfo& tensor : tensors_) out.push_back(tensor.name);
  return out;
}

const Json& Checkpoint::config() const {
  if (!config_) throw std::invalid_argument(path_.string() + ": no config.json");
  return *config_;
}

const Checkpoint::Shard& Checkpoint::shard(std::string_view name) const {
  const auto it = files_.find(name);
  if (it != files_.end()) return it->second;
  throw std::out_of_range(path_.string() + ": no shard " + in_quotes(name) +
                          did_you_mean(name, shards_));
}

const SafetensorsHeader& Checkpoint::header(std::string_view name) const {
  return shard(name).header;
}

std::string Checkpoint::header_bytes(std::string_view name) const {
  const OpenFile file = open_shard(name);
  std::string text(header(name).data_start - 8, '\0');
  if (!read_at(file.get(), 8, std::as_writable_bytes(std::span(text)))) refuse_changed(name);
  return text;
}

OpenFile Checkpoint::open_shard(std::string_view name) const {
  const Shard& s = shard(name);
  OpenFile file(s.path);
  if (identity(file.get()) != s.identity) refuse_changed(name);
  return file;
}

uint64_t Checkpoint::trailing_bytes() const {
  uint64_t sum = 0;
  for (const auto& [name, s] : files_) sum += s.header.trailing_bytes;
  return sum;
}

std::vector<std::string> Checkpoint::other_files() const {
  std::vector<std::string> names = list_folder(folder_).other;
  for (const std::string& name : names) resolve_file(folder_, name);
  return names;
}

std::vector<std::string> Checkpoint::unused_weights() const {
  const FolderListing listing = list_folder(folder_);
  std::vector<std::string> out;
  for (const std::string& name : listing.safetensors) {
    if (!files_.contains(name)) out.push_back(name);
  }
  out.insert(out.end(), listing.pickles.begin(), listing.pickles.end());
  return out;
}

std::shared_ptr<MappedFile> Checkpoint::map(std::string_view name) const {
  const Shard& s = shard(name);
  const std::lock_guard lock(mutex_);
  if (!s.map) {
    auto map = MappedFile::open(s.path);
    if (identity(map->descriptor()) != s.identity) refuse_changed(name);
    s.map = std::move(map);
  }
  return s.map;
}

std::span<std::byte> Checkpoint::data(const TensorInfo& tensor) const {
  const auto file = map(tensor.file);
  file->check_unchanged();
  if (tensor.begin > tensor.end || tensor.end > file->size()) {
    throw std::out_of_range("tensor " + in_quotes(tensor.name) + " is not of this checkpoint");
  }
  return {file->data() + tensor.begin, static_cast<size_t>(tensor.bytes())};
}

}  // namespace lenswright
