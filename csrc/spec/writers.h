#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spec/points.h"
#include "spec/rows.h"

namespace lenswright {

/// What may write to the residual stream. embedding_projection: of token embeddings narrower than
/// it, which then write nothing themselves; embedding_norm: the bias of a norm of the embedding;
/// tensor: of a checkpoint of an unknown family, known by its name only, which no model has.
enum class WriterKind : uint8_t {
  token_embedding,
  embedding_projection,
  embedding_norm,
  positional_embedding,
  attention,
  mlp,
  expert,
  shared_expert,
  tensor
};
inline constexpr int kWriterKinds = static_cast<int>(WriterKind::tensor) + 1;

/// What tells a model's writers apart.
struct WriterKey {
  WriterKind kind{};
  int layer = -1;       // -1: not inside a block
  int64_t expert = -1;  // of a mixture; -1: none
  auto operator<=>(const WriterKey&) const = default;
};

/// A place that writes to the residual stream: the stored matrix, its bias, and the point where
/// what it wrote can be seen.
struct WriterSite {
  std::string name;  // canonical: "blocks.3.attn.W_O"
  WriterKind kind{};
  Point output;           // what the writer wrote, bias included, before any norm of it
  std::string weight;     // stored name
  std::string bias;       // stored name, or "" where the family has none
  int residual_axis = 0;  // axis of the matrix that lies along the residual
  int64_t expert = -1;    // which of a mixture; -1: none
  int64_t slice = -1;     // where the stored tensors hold one matrix for each expert: which
  int64_t outputs = 0;    // of the matrix, along the residual
  int64_t inputs = 0;     // tokens or positions of an embedding; 1 of a norm's bias
  std::string norm{};     // canonical name of the norm its output passes before it is added, or ""

  WriterKey key() const { return {kind, output.layer, expert}; }
};

std::string_view name_of(WriterKind kind);

/// The canonical name: "blocks.3.mlp.experts.7.W_out".
std::string name_of(const WriterKey& key);

/// Whether a model of this spec has the writer.
bool has_writer(const Spec& spec, const WriterKey& key);

/// Every writer of a model, in the order of a run. `rows` are the family's, sources as found.
std::vector<WriterSite> writers(const Spec& spec, const std::vector<Row>& rows);

}  // namespace lenswright
