#pragma once

#include <optional>
#include <vector>

#include "model/model.h"
#include "nn/sampling.h"

namespace lenswright {

struct GenerateOptions {
  int64_t max_new_tokens = 64;
  std::vector<int64_t> stop_ids{};  // a row ends with the first of these
  bool use_cache = true;            // false: the whole text is run for every token
  bool share_prefix = true;         // what begins every row is read once; not if deterministic
  Sampling sampling{};
  std::vector<uint64_t> seeds{};  // one a row, where the temperature is positive
};

/// Continuations of prompts, a pass at a time: who calls sees every token as it comes.
///
/// The model must live as long as this does.
class Generation {
 public:
  using Said = std::vector<std::vector<int64_t>>;

  /// `prefill` taps act while prompts are read, `decode` taps while tokens are said one by one.
  /// Throws ValueError where an option is out of range or learned positions do not reach so far.
  Generation(const Model& model, const Batch& prompts, Taps prefill, Taps decode,
             GenerateOptions options);

  /// One pass. The new token of every row, −1 where it had ended before; nothing after a pass over
  /// a shared prefix, which is one row.
  std::vector<int64_t> step();
  /// No more tokens for a row. Others do not notice.
  void end(int64_t row) { ended_[static_cast<size_t>(row)] = true; }
  /// Every row has ended, or has all its tokens.
  bool done() const;

  /// What every row has said, without its prompt, stop id included.
  const Said& said() const { return said_; }
  /// Of the last pass: the model's own logits [rows, d_vocab], before penalties and filters.
  const at::Tensor& logits() const { return logits_; }
  /// Of the last pass: the position of everything that was run [rows or 1, pos].
  const at::Tensor& positions() const { return positions_; }

 private:
  void read_prefix();
  ModelInput next_input();
  void remember_prompts();
  at::Tensor choose();
  std::vector<int64_t> record(const at::Tensor& next);

  const Model& model_;
  const Batch prompts_;
  const Taps prefill_, decode_;
  const GenerateOptions options_;
  std::optional<KvCache> cache_;
  int64_t prefix_ = 0;      // tokens that begin every row and are read as one
  int64_t steps_ = 0;       // tokens that every row that has not ended has said
  at::Tensor next_;         // what was said last [rows, 1]
  at::Tensor seen_, many_;  // see `penalized`; only where there are penalties
  at::Tensor logits_, positions_;
  Said said_;
  std::vector<bool> ended_;
};

}  // namespace lenswright
