#include "io/folder.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "io/checkpoint_error.h"

namespace lenswright {
namespace {

namespace fs = std::filesystem;

constexpr std::array kPickleSuffixes = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"};
constexpr std::array kForeignSuffixes = {".gguf", ".h5", ".msgpack", ".onnx", ".npz", ".ot"};
constexpr std::string_view kIndexSuffix = ".safetensors.index.json";
constexpr size_t kShown = 4;  // names of a message

template <typename Suffixes>
bool has_suffix(std::string_view name, const Suffixes& suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(), [&](auto s) { return name.ends_with(s); });
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

// Where the files of a folder may really be: in itself, and for a folder
// REPO/snapshots/REVISION[/…] of the hub's cache in REPO/blobs, and in the cache's store of files
// that several repositories share.
std::vector<fs::path> homes_of(const fs::path& folder) {
  std::vector<fs::path> homes = {folder};
  for (fs::path at = folder; at.has_relative_path(); at = at.parent_path()) {
    if (at.parent_path().filename() != "snapshots") continue;
    const fs::path repository = at.parent_path().parent_path();
    const fs::path shared = repository.parent_path() / "blobs";
    if (fs::is_directory(repository / "blobs")) homes.push_back(repository / "blobs");
    if (fs::is_regular_file(shared / ".huggingface-shared-blobs")) homes.push_back(shared);
    break;
  }
  return homes;
}

[[noreturn]] void refuse_pickles(const fs::path& folder, const std::string& names) {
  throw CheckpointError(
      Flaw::pickle, folder.string(),
      "only pickled weights (" + names +
          "), which can run code when read and are never opened here; convert them where you trust "
          "them: python -c \"from transformers import AutoModelForCausalLM as M; "
          "M.from_pretrained('" +
          folder.string() + "').save_pretrained('converted')\"");
}

[[noreturn]] void refuse_pickle(const fs::path& file) {
  throw CheckpointError(
      Flaw::pickle, file.filename().string(),
      "pickled weights, which can run code when read and are never opened here; convert them where "
      "you trust them: python -c \"import torch, safetensors.torch as s; "
      "s.save_file({k: v.clone(memory_format=torch.contiguous_format) for k, v in torch.load('" +
          file.string() + "', weights_only=True).items()}, '" +
          fs::path(file).replace_extension(".safetensors").string() + "')\"");
}

}  // namespace

bool is_partial_name(std::string_view name) {
  return (name.starts_with('.') && name.find(".partial-") != std::string_view::npos) ||
         name.ends_with(".partial");
}

void refuse_foreign_file(const fs::path& file) {
  const std::string name = file.filename().string();
  if (has_suffix(name, kPickleSuffixes)) {
    const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
    if (fs::exists(folder / "config.json")) refuse_pickles(folder, name);
    refuse_pickle(file);
  }
  throw CheckpointError(Flaw::layout, name, "expected a checkpoint folder or a .safetensors file");
}

FolderListing list_folder(const fs::path& folder) {
  FolderListing listing;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;  // a dangling link is no file
    if (name.starts_with('.') || !entry.is_regular_file(ignored)) continue;
    if (name.ends_with(".safetensors")) {
      listing.safetensors.push_back(name);
    } else if (name.ends_with(kIndexSuffix)) {
      listing.indexes.push_back(name);
    } else if (has_suffix(name, kPickleSuffixes)) {
      listing.pickles.push_back(name);
    } else if (name == "config.json") {
      listing.has_config = true;
    } else if (!has_suffix(name, kForeignSuffixes) && !is_partial_name(name) &&
               !name.ends_with(".bin.index.json")) {
      listing.other.push_back(name);
    }
  }
  for (auto* list : {&listing.safetensors, &listing.indexes, &listing.pickles, &listing.other}) {
    std::sort(list->begin(), list->end());
  }
  return listing;
}

WeightFiles choose_weights(const FolderListing& listing, const fs::path& folder) {
  const auto has = [](const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const std::string usual = "model.safetensors", usual_index = "model.safetensors.index.json";
  if (has(listing.indexes, usual_index)) return {usual_index, ""};
  if (has(listing.safetensors, usual)) return {"", usual};
  if (listing.indexes.size() == 1) return {listing.indexes.front(), ""};
  if (listing.indexes.size() > 1) {
    throw CheckpointError(Flaw::layout, folder.string(),
                          "several indexes (" + listed(listing.indexes, kShown) +
                              "), none of them model.safetensors.index.json; give the path of one");
  }
  if (listing.safetensors.size() == 1) return {"", listing.safetensors.front()};
  if (listing.safetensors.size() > 1) {
    throw CheckpointError(
        Flaw::layout, folder.string(),
        "several .safetensors files (" + listed(listing.safetensors, kShown) +
            ") without model.safetensors.index.json; give the path of one file, or "
            "restore the index");
  }
  if (!listing.pickles.empty()) refuse_pickles(folder, listed(listing.pickles, kShown));
  throw CheckpointError(Flaw::layout, folder.string(), "no .safetensors file in this folder");
}

fs::path resolve_file(const fs::path& folder, std::string_view name) {
  const fs::path given = folder / name;
  std::error_code error;
  const fs::path real = fs::canonical(given, error);
  if (error) {
    throw CheckpointError(
        Flaw::layout, std::string(name),
        fs::is_symlink(given) ? "a link that leads nowhere" : "no such file in " + folder.string());
  }
  for (const fs::path& allowed : homes_of(fs::canonical(folder))) {
    if (is_inside(real, allowed)) return real;
  }
  throw CheckpointError(Flaw::path, std::string(name),
                        "a link that leads out of the folder, to " + in_quotes(real.string()));
}

}  // namespace lenswright
