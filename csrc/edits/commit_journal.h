#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "edits/commit.h"
#include "edits/commit_plan.h"
#include "edits/ordered_hash.h"
#include "edits/undo_journal.h"
#include "io/writer.h"

namespace lenswright {

/// What a commit writes beside the weights so that revert() finds the way back: texts and headers
/// that it rewrites, tensors that it replaces by others, and, through writer(), what its jobs
/// say of the tensors that they edit.
class CommitJournal {
 public:
  /// `name`: of the file. `card`: whether README.md gets a section, too.
  CommitJournal(const CommitPlan& plan, FolderWriter& out, std::string name, bool card);

  UndoWriter& writer() { return writer_; }
  /// Adds what has to be done for the tensors of a shard that nothing of the same form replaces.
  void start(const std::string& shard, std::vector<std::function<void()>>& tasks);
  /// Writes the rest of the file, and names it in `done`.
  void finish(const Edit& edit, Committed& done);

 private:
  struct Kept {
    TensorInfo info;
    size_t first = 0, count = 0;
    OrderedHash hash{};
  };
  Json text(std::string_view text);
  void keep(Kept& kept, size_t index);

  const CommitPlan& plan_;
  std::string name_;
  UndoWriter writer_;
  Json shards_ = Json::object(), files_ = Json::object();
  std::deque<Kept> kept_;
};

/// "lenswright-1.journal" of the first step.
std::string journal_name(size_t step);

}  // namespace lenswright
