#include "io/writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "base/error.h"
#include "io/json.h"
#include "io/shard_index.h"

namespace lenswright {

namespace fs = std::filesystem;

namespace {

fs::path without_slash(const fs::path& path) {
  const fs::path normal = fs::absolute(path).lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

bool is_within(const fs::path& path, const fs::path& folder) {
  const auto [end, rest] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

void refuse_overlap(const fs::path& target, const fs::path& input) {
  const fs::path out = without_slash(fs::weakly_canonical(target));
  const fs::path in = without_slash(fs::weakly_canonical(input));
  const char* how = nullptr;
  if (out == in) {
    how = "is the input";
  } else if (is_within(out, in)) {
    how = "lies inside the input";
  } else if (is_within(in, out)) {
    how = "contains the input";
  }
  if (how == nullptr) return;
  throw std::invalid_argument("output " + in_quotes(target.string()) + " " + how + " " +
                              in_quotes(input.string()) + "; expected a folder of its own");
}

void sync_file(const fs::path& path) {
  const OpenFile file(path);
  if (::fsync(file.get()) != 0) throw_errno("cannot make durable", path.string());
}

}  // namespace

FolderWriter::FolderWriter(const fs::path& target, std::span<const fs::path> inputs)
    : target_(without_slash(target)) {
  check_target(inputs);
  temporary_ = partial_path(target_);
  if (!fs::create_directory(temporary_)) {
    throw FileError(EEXIST, "cannot create " + in_quotes(temporary_.string()));
  }
}

FolderWriter::FolderWriter(const fs::path& target, std::span<const fs::path> inputs,
                           std::string_view key, bool resume)
    : target_(without_slash(target)), resume_(resume) {
  check_target(inputs);
  lock(key);
}

FolderWriter::FolderWriter(const InPlace& place)
    : target_(without_slash(fs::canonical(place.folder))), over_(true) {
  lock("in-place");
}

void FolderWriter::lock(std::string_view key) {
  std::string name = ".";  // appended piece by piece: GCC 12 warns of "." + string
  name.append(target_.filename().string()).append(".partial-").append(key);
  temporary_ = target_.parent_path() / name;
  fs::create_directory(temporary_);
  lock_ = OpenFile(::open(temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock_.get() < 0) throw_errno("cannot open", temporary_.string());
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    done_ = true;
    throw FileError(EWOULDBLOCK, "another process is writing " + in_quotes(target_.string()));
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(temporary_)) {
    const bool kept = resume_ && entry.path().filename().string().ends_with(".partial");
    if (!kept) fs::remove_all(entry.path());
  }
}

void FolderWriter::check_target(std::span<const fs::path> inputs) const {
  for (const fs::path& input : inputs) refuse_overlap(target_, input);
  if (fs::exists(fs::symlink_status(target_))) {
    throw FileError(EEXIST, "output folder exists: " + in_quotes(target_.string()));
  }
  if (!fs::is_directory(target_.parent_path())) {
    throw FileError(ENOENT,
                    "no folder to put the output in: " + in_quotes(target_.parent_path().string()));
  }
}

FolderWriter::~FolderWriter() { abandon(); }

void FolderWriter::abandon() noexcept {
  if (done_) return;
  done_ = true;
  if (resume_) return;
  for (const auto& [name, writer] : shards_) writer->abandon();
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

fs::path FolderWriter::claim(std::string_view name) {
  if (!is_plain_name(name)) {
    throw std::invalid_argument("name " + in_quotes(name) + ": expected a plain file name");
  }
  const std::lock_guard lock(mutex_);
  if (done_) throw std::invalid_argument("the folder is committed or abandoned");
  if (std::find(names_.begin(), names_.end(), name) != names_.end()) {
    throw std::invalid_argument("name " + in_quotes(name) + " is already in the output");
  }
  names_.emplace_back(name);
  return temporary_ / name;
}

FileWriter& FolderWriter::shard(std::string_view name, std::span<const TensorSpec> tensors,
                                const Metadata& metadata) {
  return shard(name, make_header(tensors, metadata));
}

FileWriter& FolderWriter::shard(std::string_view name, std::string header) {
  if (!name.ends_with(".safetensors")) {
    throw std::invalid_argument("shard " + in_quotes(name) + ": expected a .safetensors name");
  }
  const fs::path path = claim(name);
  std::shared_ptr<FileWriter> writer(
      new FileWriter({path, path.string() + ".partial", resume_}, header));
  const std::lock_guard lock(mutex_);
  return *shards_.emplace(std::string(name), std::move(writer)).first->second;
}

fs::path FolderWriter::aside(std::string_view name) {
  asides_.push_back(temporary_ / name);
  return asides_.back();
}

void FolderWriter::copy_file(const fs::path& from, std::string_view name) {
  const OpenFile source(from);
  const fs::path path = claim(name.empty() ? from.filename().string() : std::string(name));
  const uint64_t size = source.size();
  const OpenFile target = create_file(path);
  copy_range(source.get(), 0, target.get(), 0, size);
}

OpenFile FolderWriter::create(std::string_view name) { return create_file(claim(name)); }

void FolderWriter::write_text(std::string_view name, std::string_view text) {
  const OpenFile target = create(name);
  write_at(target.get(), 0, std::as_bytes(std::span(text.data(), text.size())));
}

void FolderWriter::write_index(std::string_view name) {
  std::map<std::string, std::string> places;
  uint64_t total = 0;
  for (const auto& [shard, writer] : shards_) {
    for (const TensorInfo& tensor : writer->tensors()) {
      if (!places.emplace(tensor.name, shard).second) {
        throw std::invalid_argument("tensor " + in_quotes(tensor.name) + " is in two shards, " +
                                    places[tensor.name] + " and " + shard);
      }
      total += tensor.bytes();
    }
  }
  Json weight_map = Json::object();
  for (const auto& [tensor, shard] : places) weight_map.set(tensor, shard);
  Json metadata = Json::object();
  metadata.set("total_size", total);
  Json index = Json::object();
  index.set("metadata", metadata);
  index.set("weight_map", weight_map);
  write_text(name, index.dump(2) + "\n");
}

void FolderWriter::commit(Progress* progress) {
  if (done_) throw std::invalid_argument("the folder is committed or abandoned");
  for (const auto& [name, writer] : shards_) writer->check_complete();
  for (const std::string& name : names_) {
    const auto shard = shards_.find(name);
    if (shard == shards_.end()) {
      sync_file(temporary_ / name);
    } else {
      shard->second->sync();
    }
    if (progress != nullptr) progress->step(0);  // a place to be cancelled
  }
  for (const auto& [name, writer] : shards_) writer->publish();
  for (const fs::path& path : asides_) fs::remove(path);
  sync_folder(temporary_);
  over_ ? exchange(temporary_, target_) : rename_new(temporary_, target_);
  done_ = true;
  sync_folder(target_.parent_path());
  if (over_) fs::remove_all(temporary_);
}

}  // namespace lenswright
