#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "edits/changes.h"
#include "edits/edit.h"
#include "io/checkpoint.h"

namespace lenswright {

/// A stored tensor that a commit changes, in all of its matrices or in some.
struct CommitTarget {
  TensorInfo info;
  Change change;
};

/// What a commit will do, found before the first byte is written and without loading a model.
struct CommitPlan {
  std::shared_ptr<Checkpoint> checkpoint;
  std::map<std::string, CommitTarget> targets;  // by stored name
  bool unties = false;
  TensorInfo embedding;  // where it unties
  std::string head;  // the unembedding to add as a copy of it; "" where the file has one already

  /// Bytes of all tensors that will be written.
  int64_t bytes() const;
};

/// Throws ValueError where the checkpoint has no such writer or it has another size;
/// CheckpointError where a tensor is missing or not as config.json says.
CommitPlan plan_commit(const Edit& edit, const std::filesystem::path& input);

/// SHA-256 of every target as it is, by name. ValueError where the edit was made for another.
std::map<std::string, std::string> check_bases(const CommitPlan& plan, int threads);

}  // namespace lenswright
