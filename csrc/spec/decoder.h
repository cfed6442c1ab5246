#pragma once

#include <vector>

#include "io/checkpoint.h"
#include "spec/catalog.h"
#include "spec/family.h"
#include "spec/quantised.h"

namespace lenswright {

/// What a checkpoint holds for us: its family, its spec, and where its weights lie.
struct Decoder {
  const Family* family;
  Spec spec;
  std::vector<Row> rows;       // optional weights it lacks left out
  Row head;                    // where an unembedding of its own lies, or would lie
  QuantisedTensors quantised;  // sources of rows that are stored so
};

/// Reads config.json and the tensors' names. Embeddings that config.json calls tied are not where
/// the checkpoint holds a head that differs. Throws std::invalid_argument by key.
Decoder decoder_of(const Json& config, const Catalog& tensors);
Decoder decoder_of(const Checkpoint& checkpoint);

/// Whether a stored tensor holds no weight of the decoder, as its family has it: masks, tables made
/// anew, other towers, layers that are not run.
bool beyond_decoder(const Family& family, const Spec& spec, const std::string& tensor);

/// The tensors of a checkpoint. It must outlive what is returned.
Catalog catalog_of(const Checkpoint& checkpoint);

}  // namespace lenswright
