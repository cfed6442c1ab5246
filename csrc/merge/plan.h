#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "merge/input.h"
#include "merge/recipe.h"

namespace lenswright {

/// Where the rows of a vocabulary's tensor come from, when models speak of other tokens.
struct RowMap {
  struct From {
    size_t operand;
    int64_t row;  // -1: the mean of all its rows of the result
  };
  std::vector<int64_t> own;  // row of this operand for each row of the output; -1: see `others`
  std::map<int64_t, std::vector<From>> others;  // mean of these rows; nothing: zeros
};

/// One input's share of an output tensor.
struct Operand {
  std::shared_ptr<const Input> input;
  const TensorInfo* info = nullptr;
  Values own;
  std::shared_ptr<const RowMap> rows;  // null: row by row
  std::optional<Dtype> cast;           // values are rounded to it first
};

/// One output tensor: what it is made of and how.
struct Job {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  const Method* method = nullptr;
  std::vector<Operand> operands;
  int base = -1;
  Values values;
  bool copy = false;  // the bytes of the only operand

  uint64_t bytes() const;
  int64_t numel() const;
};

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
