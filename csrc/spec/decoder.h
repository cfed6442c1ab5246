#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "spec/family.h"

namespace lenswright {

/// What a checkpoint holds for us: its family, its spec, and where its weights lie.
struct Decoder {
  const Family* family;
  Spec spec;
  std::vector<Row> rows;  // optional weights it lacks left out
  Row head;               // where an unembedding of its own lies, or would lie
};

/// What reading a decoder asks about the tensors that are there.
struct Catalog {
  std::function<bool(const std::string& name)> contains;
  std::function<std::vector<int64_t>(const std::string& name)> shape;
  std::function<bool(const std::string& a, const std::string& b)> equal;
};

/// Reads config.json and the tensors' names. Embeddings that config.json calls tied are not where
/// the checkpoint holds a head that differs. Throws std::invalid_argument by key.
Decoder decoder_of(const Json& config, const Catalog& tensors);
Decoder decoder_of(const Checkpoint& checkpoint);

}  // namespace lenswright
