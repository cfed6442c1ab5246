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

/// One canonical weight and where it lies: some of the outputs of a stored tensor, in runs that
/// follow at equal distances (one run where they are all together).
///
/// Canonical names are TransformerLens's (`blocks.3.attn.W_Q`, `blocks.3.mlp.b_out` ...).
struct Row {
  std::string canonical;
  std::string source;  // name in the checkpoint
  Layout layout = Layout::out_in;
  int64_t outputs = 0;  // of the canonical weight
  int64_t inputs = 0;   // 0: a vector
  int64_t start = 0;    // first output within the stored tensor
  int64_t stored = 0;   // outputs of the stored tensor; 0: it is one number, of shape []
  bool optional = false;
  int64_t run = 0;       // outputs that follow one another; 0: all of them
  int64_t distance = 0;  // from the start of one run to the next
  int64_t experts = 0;   // of a tensor that holds one matrix for each of them; 0: it holds one
  int64_t expert = 0;    // which
  int64_t times = 1;     // the outputs so many times over, one list behind the other

  /// The shape the stored tensor must have.
  std::vector<int64_t> stored_shape() const;
  bool in_runs() const { return run > 0 && run < outputs; }
};

/// Builds rows without repeating sizes: `rows.matrix("embed.W_E", "wte.weight", 50257, 768)`.
class Rows {
 public:
  void matrix(std::string canonical, std::string source, int64_t outputs, int64_t inputs,
              Layout layout = Layout::out_in);
  void vector(std::string canonical, std::string source, int64_t size, bool optional = false);
  /// One number, stored without a dimension.
  void scalar(std::string canonical, std::string source);
  /// A matrix and, where the checkpoint has one, its bias: "attn.W_Q" and "attn.b_Q" from
  /// "q_proj.weight" and "q_proj.bias". `part` is what follows "W_".
  void linear(const std::string& prefix, const std::string& part, const std::string& source,
              int64_t outputs, int64_t inputs, Layout layout = Layout::out_in);
  /// Consecutive parts of one stored tensor, as fused projections have them.
  void parts(const std::vector<std::string>& canonical, const std::string& source,
             const std::vector<int64_t>& outputs, int64_t inputs, Layout layout = Layout::out_in,
             bool optional = false);
  /// Parts that take turns: `turns` times a run of each, the sizes of the runs being `runs`.
  void interleaved(const std::vector<std::string>& canonical, const std::string& source,
                   const std::vector<int64_t>& runs, int64_t turns, int64_t inputs,
                   Layout layout = Layout::out_in, bool optional = false);
  /// From here on rows are the matrices of one of several experts in tensors that hold them all.
  void expert(int64_t index, int64_t of);
  void no_expert() { expert(0, 0); }

  std::vector<Row> take() { return std::move(rows_); }

 private:
  void add(Row row);

  std::vector<Row> rows_;
  int64_t expert_ = 0, experts_ = 0;
};

}  // namespace lenswright
