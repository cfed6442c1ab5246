#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/progress.h"
#include "edits/edit.h"
#include "io/checkpoint.h"

namespace lenswright {

/// What a commit has done.
struct Committed {
  struct Change {
    std::string before, after;  // SHA-256 of the stored bytes
  };
  std::map<std::string, Change> changed;  // by stored name, of every tensor the edit is about
  std::string added;                      // the unembedding of embeddings that were tied, or ""
  std::vector<std::string>
      left_behind;          // weight files of the folder that the checkpoint does not use
  int64_t dequantised = 0;  // tensors that were quantised, and are in BF16 now
  Quantisation form = Quantisation::none;  // how they were
  std::string journal{};                   // the file that leads back, or ""
  bool card = false;                       // whether README.md has got a section
  uint64_t journal_bytes = 0;
};

struct CommitOptions {
  bool journal = false;    // keep what revert() needs: about 0.5 % of what is edited
  bool in_place = false;   // the output is the input; it needs the journal
  std::string card{};      // Markdown: a section that README.md gets; "" for none
  std::string measured{};  // JSON: what was measured, for lenswright.json; "" for none
};

/// The new folder takes the place of the old one whole: std::invalid_argument where that holds
/// files that are not its checkpoint's own.
void check_in_place(const Checkpoint& in);

/// Writes the checkpoint folder `input` to the new folder `output` with the edit in its weights:
/// exact, rounded once to each tensor's stored type, the same bytes as apply() makes. Everything
/// else, headers and metadata included, is carried over byte for byte. lenswright.json beside it
/// says what was done. Of a quantised checkpoint every quantised tensor is written in BF16, edited
/// or not, under the name that transformers has for it, and config.json and the index say so;
/// unless the edit touches nothing. Streams: memory does not grow with the checkpoint.
///
/// In place the folder is written anew beside the old one, which then makes way for it in one step:
/// whenever the process dies, the folder is the old one or the new one with its journal.
///
/// Throws before the first byte is written where anything is wrong: see plan_commit and
/// FolderWriter.
Committed commit(const Edit& edit, const std::filesystem::path& input,
                 const std::filesystem::path& output, Progress* progress = nullptr,
                 const CommitOptions& options = {});

}  // namespace lenswright
