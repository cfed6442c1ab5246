#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spec/points.h"
#include "spec/rows.h"

namespace lenswright {

enum class WriterKind : uint8_t { token_embedding, positional_embedding, attention, mlp };

/// A place that writes to the residual stream: the stored matrix, its bias, and the point where
/// what it wrote can be seen.
struct WriterSite {
  std::string name;  // canonical: "blocks.3.attn.W_O"
  WriterKind kind{};
  Point output;           // what the writer wrote, bias included, before any post-norm
  std::string weight;     // stored name
  std::string bias;       // stored name, or "" where the family has none
  int residual_axis = 0;  // axis of the stored matrix that lies along the residual
};

std::string_view name_of(WriterKind kind);

/// Every writer of a model, in the order of a run. `rows` are the family's, sources as found.
std::vector<WriterSite> writers(const Spec& spec, const std::vector<Row>& rows);

}  // namespace lenswright
