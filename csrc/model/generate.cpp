#include "model/generate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

namespace lenswright {
namespace {

// Rows pushed to the right side, where a continuation needs no gap.
Batch aligned(const Batch& batch) {
  if (batch.side() == Side::right || !batch.ragged()) {
    return Batch(batch.tokens(), batch.lengths(), Side::right);
  }
  at::Tensor tokens = at::zeros_like(batch.tokens());
  for (int64_t row = 0; row < batch.rows(); ++row) {
    const int64_t length = batch.lengths()[row];
    tokens[row].narrow(0, 0, length).copy_(batch.tokens()[row].narrow(0, batch.start(row), length));
  }
  return Batch(tokens, batch.lengths(), Side::right);
}

// Prompts and what has been said so far, in one rectangle.
Batch extended(const Batch& prompts, const std::vector<std::vector<int64_t>>& said) {
  std::vector<int64_t> lengths = prompts.lengths();
  for (size_t row = 0; row < said.size(); ++row)
    lengths[row] += static_cast<int64_t>(said[row].size());
  const int64_t width = *std::max_element(lengths.begin(), lengths.end());
  at::Tensor tokens = at::zeros({prompts.rows(), width}, prompts.tokens().options());
  tokens.narrow(1, 0, prompts.width()).copy_(prompts.tokens());
  for (size_t row = 0; row < said.size(); ++row) {
    const int64_t i = static_cast<int64_t>(row), count = static_cast<int64_t>(said[row].size());
    if (count == 0) continue;
    tokens[i].narrow(0, prompts.lengths()[row], count).copy_(at::tensor(said[row], at::kLong));
  }
  return Batch(tokens, lengths, Side::right);
}

at::Tensor next_positions(const Batch& prompts, int64_t step) {
  return (prompts.last() + step).unsqueeze(1);
}

}  // namespace

std::vector<std::vector<int64_t>> generate(const Model& model, const Batch& prompts,
                                           const Taps& taps, const GenerateOptions& options,
                                           const std::function<bool(int64_t)>& step) {
  TORCH_CHECK_VALUE(options.max_new_tokens >= 1, "max_new_tokens is ", options.max_new_tokens,
                    ", expected at least 1");
  const Batch batch = aligned(prompts);
  std::vector<std::vector<int64_t>> said(batch.rows());
  std::vector<bool> ended(batch.rows(), false);
  std::optional<KvCache> cache;
  if (options.use_cache)
    cache = model.make_cache(batch.rows(), batch.width() + options.max_new_tokens);
  const Wanted wanted{Logits::last, 0, std::nullopt};
  Input input{batch, {}, cache ? &*cache : nullptr, {}};
  for (int64_t i = 0; i < options.max_new_tokens; ++i) {
    const at::Tensor logits = model.run(input, taps, wanted).logits;  // [batch, 1, d_vocab]
    const at::Tensor next = logits.argmax(-1);                        // [batch, 1]
    const at::Tensor ids = next.to(at::kCPU).flatten();
    bool all = true;
    for (int64_t row = 0; row < batch.rows(); ++row) {
      if (!ended[row]) {
        const int64_t id = ids[row].item<int64_t>();
        said[row].push_back(id);
        ended[row] = std::find(options.stop_ids.begin(), options.stop_ids.end(), id) !=
                     options.stop_ids.end();
      }
      all = all && ended[row];
    }
    if (all || !step(i + 1) || i + 1 == options.max_new_tokens) break;
    if (cache) {
      input = {Batch(next, {}, Side::right), {}, &*cache, next_positions(batch, i + 1)};
    } else {
      input = {extended(batch, said), {}, nullptr, {}};
    }
  }
  return said;
}

}  // namespace lenswright
