#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spec/spec.h"

namespace lenswright {

enum class Layout : uint8_t {
  out_in,
  in_out
};  // how a matrix lies in its file: [out, in] or [in, out]

/// One canonical weight and where it lies: a range of the outputs of a stored tensor.
///
/// Canonical names are TransformerLens's (`blocks.3.attn.W_Q`, `blocks.3.mlp.b_out` ...).
struct Row {
  std::string canonical;
  std::string source;  // name in the checkpoint
  Layout layout = Layout::out_in;
  int64_t outputs = 0;  // of the canonical weight
  int64_t inputs = 0;   // 0: a vector
  int64_t start = 0;    // first output within the stored tensor
  int64_t stored = 0;   // outputs of the stored tensor
  bool optional = false;

  /// The shape the stored tensor must have.
  std::vector<int64_t> stored_shape() const;
};

/// Builds rows without repeating sizes: `rows.matrix("embed.W_E", "wte.weight", 50257, 768)`.
class Rows {
 public:
  void matrix(std::string canonical, std::string source, int64_t outputs, int64_t inputs,
              Layout layout = Layout::out_in);
  void vector(std::string canonical, std::string source, int64_t size, bool optional = false);
  /// Consecutive parts of one stored tensor, as fused projections have them.
  void parts(const std::vector<std::string>& canonical, const std::string& source,
             const std::vector<int64_t>& outputs, int64_t inputs, Layout layout = Layout::out_in);

  std::vector<Row> take() { return std::move(rows_); }

 private:
  std::vector<Row> rows_;
};

}  // namespace lenswright
