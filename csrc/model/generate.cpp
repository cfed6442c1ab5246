#include "model/generate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "nn/deterministic.h"

namespace lenswright {
namespace {

constexpr int64_t kWorthSharing = 16;  // tokens; below it a pass of its own costs more

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
Batch extended(const Batch& prompts, const Generation::Said& said) {
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

// Tokens that begin every row; one is left to each, as its last token's logits are wanted.
int64_t shared_prefix(const Batch& prompts) {
  if (prompts.rows() == 1) return 0;
  const auto& lengths = prompts.lengths();
  const int64_t shortest = *std::min_element(lengths.begin(), lengths.end());
  const at::Tensor tokens = prompts.tokens().narrow(1, 0, shortest - 1);
  const at::Tensor equal = (tokens == tokens.narrow(0, 0, 1)).all(0);
  const int64_t shared = equal.to(at::kLong).cumprod(0).sum().item<int64_t>();
  return shared >= kWorthSharing ? shared : 0;
}

void check_context(const Spec& spec, int64_t longest, int64_t more) {
  if (spec.position != PositionKind::learned) return;
  TORCH_CHECK_VALUE(longest <= spec.n_ctx, "the longest prompt is ", longest,
                    " tokens, expected at most n_ctx ", spec.n_ctx, " (positions are learned)");
  const int64_t most = spec.n_ctx - longest + 1;  // the last one is never read
  TORCH_CHECK_VALUE(more <= most, "max_new_tokens is ", more, ", expected at most ", most,
                    " after a prompt of ", longest, " tokens (positions are learned up to n_ctx ",
                    spec.n_ctx, ")");
}

}  // namespace

Generation::Generation(const Model& model, const Batch& prompts, Taps prefill, Taps decode,
                       GenerateOptions options)
    : model_(model),
      prompts_(aligned(prompts)),
      prefill_(std::move(prefill)),
      decode_(std::move(decode)),
      options_(std::move(options)),
      said_(prompts.rows()),
      ended_(prompts.rows(), false) {
  const int64_t more = options_.max_new_tokens, rows = prompts_.rows();
  TORCH_CHECK_VALUE(more >= 1, "max_new_tokens is ", more, ", expected at least 1");
  options_.sampling.check();
  TORCH_CHECK_VALUE(
      options_.sampling.temperature == 0 || static_cast<int64_t>(options_.seeds.size()) == rows,
      "seeds has ", options_.seeds.size(), " entries, expected one for each of ", rows, " rows");
  const auto& lengths = prompts_.lengths();
  check_context(model.spec(), *std::max_element(lengths.begin(), lengths.end()), more);
  if (options_.use_cache && options_.share_prefix && !deterministic()) {
    prefix_ = shared_prefix(prompts_);
  }
}

bool Generation::done() const {
  return steps_ == options_.max_new_tokens ||
         std::all_of(ended_.begin(), ended_.end(), [](bool ended) { return ended; });
}

std::vector<int64_t> Generation::step() {
  TORCH_INTERNAL_ASSERT(!done());
  const c10::NoGradGuard no_grad;
  if (prefix_ > 0 && !cache_) {
    read_prefix();
    return {};
  }
  const ModelInput input = next_input();
  positions_ = input.positions.defined() ? input.positions : input.batch.positions();
  const Taps& taps = steps_ == 0 ? prefill_ : decode_;
  logits_ = model_.run(input, taps, {Logits::last, 0, std::nullopt}).logits.squeeze(1);
  const at::Tensor next = choose();
  next_ = next.unsqueeze(1);
  ++steps_;
  return record(next.to(at::kCPU));
}

void Generation::read_prefix() {
  const Batch one(prompts_.tokens().narrow(0, 0, 1).narrow(1, 0, prefix_), {}, Side::right);
  cache_ = model_.make_cache(1, prompts_.width() + options_.max_new_tokens);
  positions_ = one.positions();
  // Nobody wants logits here, but a tap may stand behind the last block.
  Wanted wanted{Logits::none, 0, static_cast<int>(model_.spec().n_layers)};
  if (!prefill_.empty()) wanted = {Logits::last, 0, std::nullopt};
  model_.run({one, {}, &*cache_, {}}, prefill_, wanted);
  cache_->repeat(prompts_.rows());
}

ModelInput Generation::next_input() {
  if (!options_.use_cache) return {extended(prompts_, said_), {}, nullptr, {}};
  if (steps_ > 0) {
    const at::Tensor positions = (prompts_.last() + steps_).unsqueeze(1);
    return {Batch(next_, {}, Side::right), {}, &*cache_, positions};
  }
  if (prefix_ == 0) {
    cache_ = model_.make_cache(prompts_.rows(), prompts_.width() + options_.max_new_tokens);
    return {prompts_, {}, &*cache_, {}};
  }
  std::vector<int64_t> lengths = prompts_.lengths();
  for (int64_t& length : lengths) length -= prefix_;
  const int64_t width = prompts_.width() - prefix_;
  const at::Tensor positions = prompts_.positions().narrow(1, prefix_, width);
  return {Batch(prompts_.tokens().narrow(1, prefix_, width), lengths, Side::right),
          {},
          &*cache_,
          positions};
}

// What the penalties know before anything is said.
void Generation::remember_prompts() {
  const int64_t rows = prompts_.rows(), d_vocab = model_.spec().d_vocab;
  seen_ = at::zeros({rows, d_vocab}, logits_.options().dtype(at::kBool));
  many_ = at::zeros({rows, d_vocab}, logits_.options().dtype(at::kDouble));
  for (int64_t row = 0; row < rows; ++row) {
    const at::Tensor prompt = prompts_.tokens()[row].narrow(0, 0, prompts_.lengths()[row]);
    seen_[row].index_fill_(0, prompt, true);
  }
}

at::Tensor Generation::choose() {
  const Sampling& how = options_.sampling;
  if (how.penalizes() && !seen_.defined()) remember_prompts();
  at::Tensor scores = logits_;
  if (how.penalizes() || how.temperature > 0) scores = scores.to(at::kDouble);
  if (how.penalizes()) scores = penalized(scores, seen_, many_, how);
  at::Tensor next;
  if (how.temperature == 0) {
    next = greedy(scores);
  } else {
    std::vector<int64_t> positions = prompts_.lengths();
    for (int64_t& position : positions) position += steps_;
    next = drawn(filtered(scores, how), options_.seeds, positions);
  }
  if (how.penalizes()) {
    const at::Tensor index = next.unsqueeze(1);
    seen_.scatter_(1, index, true);
    many_.scatter_add_(1, index, at::ones_like(index, many_.options()));
  }
  return next;
}

std::vector<int64_t> Generation::record(const at::Tensor& next) {
  const auto& stops = options_.stop_ids;
  std::vector<int64_t> ids(said_.size(), -1);
  for (size_t row = 0; row < ids.size(); ++row) {
    if (ended_[row]) continue;
    ids[row] = next.const_data_ptr<int64_t>()[row];
    said_[row].push_back(ids[row]);
    ended_[row] = std::find(stops.begin(), stops.end(), ids[row]) != stops.end();
  }
  return ids;
}

}  // namespace lenswright
