#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "merge/input.h"
#include "merge/job.h"
#include "merge/recipe.h"

namespace lenswright {

/// An input tensor that is in no output tensor, and why.
struct Unused {
  std::string model, tensor, why;
};

struct MergeOptions {
  Mode mode = Mode::strict;
  uint64_t seed = 0;
  uint64_t shard_bytes = 5'000'000'000;
  bool mix = false;  // models of different types
  Json vocabulary;   // null, or what Python found in the tokenizers: {size, rows: {model: …}}
  Solver solver{};   // of methods that work on whole tensors
};

/// All that a merge will do, found and checked before the first byte is written.
struct MergePlan {
  struct Shard {
    std::string file;
    std::vector<size_t> jobs;
  };

  MergeOptions options;
  Inputs inputs;
  std::shared_ptr<const Input> donor;  // of config.json and of the files beside it
  std::vector<Job> jobs;               // in the order of the output
  std::vector<Shard> shards;
  Json config;  // null where no input has one
  std::vector<Unused> unused;
  std::vector<std::string> notes;

  uint64_t read_bytes() const;
  uint64_t write_bytes() const;
};

/// Throws std::invalid_argument (the recipe and the models do not fit) or CheckpointError.
MergePlan plan_merge(const Recipe& recipe, const Inputs& inputs, const MergeOptions& options);

}  // namespace lenswright
