#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "edits/changes.h"
#include "edits/edit.h"
#include "io/checkpoint.h"
#include "io/file_writer.h"

namespace lenswright {

/// A stored tensor that a commit changes, in all of its matrices or in some.
struct CommitTarget {
  TensorInfo info;  // where it is quantised: the tensor that is written, and the file of its codes
  Change change;
  std::shared_ptr<const Quantised> quantised{};
  std::vector<TensorInfo> parts{};  // of a quantised one: codes and scales
};

/// What a commit will do, found before the first byte is written and without loading a model.
struct CommitPlan {
  std::shared_ptr<Checkpoint> checkpoint;
  std::map<std::string, CommitTarget> targets;  // by stored name
  bool unties = false;
  TensorInfo embedding;  // where it unties
  std::string head;  // the unembedding to add as a copy of it; "" where the file has one already
  /// A commit that changes anything leaves nothing quantised: what was, is among the targets. This
  /// is which target stands in the place of a stored tensor, "" where none does.
  std::map<std::string, std::string> replaced;
  Quantisation form = Quantisation::none;  // in which it was

  /// The tensors that a shard will hold.
  std::vector<TensorSpec> contents(const std::string& shard) const;
  /// Whether they are not those that it holds.
  bool rearranges(const std::string& shard) const;
  /// Bytes of all tensors that will be written.
  int64_t bytes() const;
};

/// Throws ValueError where the checkpoint has no such writer or it has another size;
/// CheckpointError where a tensor is missing or not as config.json says.
CommitPlan plan_commit(const Edit& edit, const std::filesystem::path& input);

/// SHA-256 of every target that the edit is about, by name; of a quantised one of its codes and
/// then its scales.
std::map<std::string, std::string> hashes_of(const CommitPlan& plan, int threads);

/// The same. ValueError where the edit was made for another.
std::map<std::string, std::string> check_bases(const CommitPlan& plan, int threads);

}  // namespace lenswright
