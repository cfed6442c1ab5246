#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lenswright {

/// What a checkpoint folder holds, by name alone.
struct FolderListing {
  std::vector<std::string> safetensors;  // sorted, like all lists here
  std::vector<std::string> indexes;      // *.safetensors.index.json
  std::vector<std::string> pickles;      // weights that run code when read
  std::vector<std::string> other;        // small files to carry along; no config.json
  bool has_config = false;
};

FolderListing list_folder(const std::filesystem::path& folder);

/// Where the weights of a folder are: `index` or one of `files`.
struct WeightFiles {
  std::string index;  // "" when there is none
  std::string file;   // the only file, when there is no index
};

/// Chooses by the rules that io/checkpoint.h states; CheckpointError when there is no clear choice.
WeightFiles choose_weights(const FolderListing& listing, const std::filesystem::path& folder);

/// The resolved path of a file of the folder. A symbolic link must stay inside the folder or, in a
/// hub snapshot, lead into the repository's blobs or the cache's; CheckpointError otherwise.
std::filesystem::path resolve_file(const std::filesystem::path& folder, std::string_view name);

/// True for the names that unfinished outputs have.
bool is_partial_name(std::string_view name);

/// Refuses, with a line on how to convert them, weights that are pickles or of another format.
void refuse_foreign_file(const std::filesystem::path& file);

}  // namespace lenswright
