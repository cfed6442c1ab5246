#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "merge/input.h"
#include "merge/method.h"

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

}  // namespace lenswright
