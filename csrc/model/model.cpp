#include "model/model.h"

#include <ATen/ATen.h>

#include <map>

#include "nn/attention_mask.h"
#include "nn/deterministic.h"

namespace lenswright {
namespace {

void check_tokens(const Batch& batch, const Spec& spec) {
  const int64_t low = batch.tokens().min().item<int64_t>();
  const int64_t high = batch.tokens().max().item<int64_t>();
  TORCH_CHECK_INDEX(low >= 0 && high < spec.d_vocab, "tokens has id ", low < 0 ? low : high,
                    ", expected 0 to ", spec.d_vocab - 1, " (d_vocab is ", spec.d_vocab, ")");
}

bool has_position_table(const Spec& spec) {
  return spec.position == PositionKind::learned || spec.position == PositionKind::sinusoidal;
}

void check_positions(const at::Tensor& positions, const Spec& spec) {
  if (!has_position_table(spec) && spec.longest_row == 0) return;
  const int64_t high = positions.max().item<int64_t>();
  TORCH_CHECK_VALUE(spec.longest_row == 0 || high < spec.longest_row, "tokens are ", high + 1,
                    " long, expected at most ", spec.longest_row,
                    " (beyond, implementations of this family's rotations disagree)");
  if (!has_position_table(spec)) return;
  TORCH_CHECK_VALUE(high < spec.n_ctx, "tokens are ", high + 1, " long, expected at most n_ctx ",
                    spec.n_ctx, " (positions are ", name_of(spec.position), ")");
}

// Attention row by row, in deterministic runs; nothing otherwise.
RowSpans row_spans(const ModelInput& input, const at::Tensor& positions) {
  RowSpans spans;
  if (!deterministic()) return spans;
  const Batch& batch = input.batch;
  const at::Tensor places = input.cache ? positions.to(at::kCPU).contiguous() : at::Tensor();
  for (int64_t row = 0; row < batch.rows(); ++row) {
    RowSpan span{batch.start(row), batch.lengths()[row], batch.start(row), batch.lengths()[row]};
    if (input.cache) {
      span.key = 0;
      const int64_t last = row * batch.width() + span.query + span.queries - 1;
      span.keys = places.const_data_ptr<int64_t>()[last] + 1;
    }
    spans.push_back(span);
  }
  return spans;
}

// Of branches that share a row each would have a length of its own.
void check_one_length(const at::Tensor& lengths, const Spec& spec) {
  const int64_t longest = lengths.max().item<int64_t>();
  for (const Rope& rope : spec.ropes) {
    const bool grows =
        rope.scaling == RopeScaling::dynamic || rope.scaling == RopeScaling::longrope;
    TORCH_CHECK_VALUE(!grows || longest <= rope.original_ctx, "rows branch and are ", longest,
                      " long, expected at most ", rope.original_ctx,
                      " (beyond, this model's rotations depend on each row's own length)");
  }
}

at::Tensor capped(const at::Tensor& x, double limit) {
  return elementwise(x, [&](const at::Tensor& part) { return at::tanh(part / limit) * limit; });
}

// With a cache: a query looks at every slot up to its own position.
at::Tensor cached_mask(const at::Tensor& positions, int64_t before, int64_t used) {
  const bool fresh = before == 0 && positions.size(1) == used;
  if (fresh) return {};  // slots are positions: "up to the query's own key"
  const at::Tensor slots = at::arange(used, positions.options());
  const at::Tensor allowed = slots.view({1, 1, 1, used}) <= positions.unsqueeze(1).unsqueeze(-1);
  const bool all = positions.size(1) == 1 && (positions == used - 1).all().item<bool>();
  return all ? at::Tensor() : allowed;
}

}  // namespace

// What each layer's attention is told, sinks aside: layers that see equally share their masks.
std::vector<AttentionSetting> Model::attention_settings(const ModelInput& input,
                                                        const at::Tensor& positions,
                                                        const at::Tensor& base) const {
  at::Tensor keys = positions;  // of a cache: its slots
  if (input.cache) keys = at::arange(input.cache->used(), positions.options()).unsqueeze(0);
  AttentionSetting shared;
  if (spec_.position == PositionKind::alibi) {
    // Of 16-bit types too, whose whole numbers end at 256 or 2048, biases are made in float32.
    const at::ScalarType wide = dtype_ == at::kDouble ? at::kDouble : at::kFloat;
    shared.slopes = at::tensor(spec_.alibi.slopes, at::kDouble).to(device_, wide);
    shared.from_end = spec_.alibi.from_end;
    const at::Tensor end = shared.from_end
                               ? positions.gather(1, input.batch.last().unsqueeze(1)).squeeze(1)
                               : at::Tensor();
    shared.bias = alibi_bias(shared.slopes, keys, end);
  }
  std::map<std::pair<int64_t, int64_t>, at::Tensor> masks;  // by window and chunk
  std::vector<AttentionSetting> settings;
  for (int layer = 0; layer < spec_.n_layers; ++layer) {
    AttentionSetting own = shared;
    own.rule = spec_.attention_rule(layer);
    const auto kind = std::make_pair(own.rule.window, own.rule.chunk);
    auto found = masks.find(kind);
    if (found == masks.end()) {
      found = masks.emplace(kind, within_sight(base, positions, keys, own.rule)).first;
    }
    own.mask = found->second;
    settings.push_back(std::move(own));
  }
  return settings;
}

Pass Model::make_pass(const ModelInput& input, const at::Tensor& positions,
                      const Taps& taps) const {
  Pass pass{spec_, taps, positions, {}, {}, row_spans(input, positions), input.cache};
  at::Tensor lengths = positions.gather(1, input.batch.last().unsqueeze(1)).squeeze(1) + 1;
  if (!input.batch.branches().empty()) {
    TORCH_CHECK_VALUE(!input.cache, "rows that branch have no key-value cache");
    pass.branches = &input.batch.branches();
    lengths = positions.amax(1) + 1;
    check_one_length(lengths, spec_);
  }
  for (const Rope& rope : spec_.ropes) {
    pass.ropes.push_back(rope_table(positions, lengths, rope, dtype_));
  }
  at::Tensor mask = input.batch.mask();
  if (input.cache) {
    const int64_t before = input.cache->used();
    input.cache->extend_to(positions.max().item<int64_t>() + 1);
    mask = cached_mask(positions, before, input.cache->used());
  }
  pass.attention = attention_settings(input, positions, mask);
  return pass;
}

at::Tensor Model::embed_normed(const at::Tensor& x, const Pass& pass) const {
  const Point scale{Site::embed_ln_scale, -1}, normalized{Site::embed_ln_normalized, -1};
  const Adapter* adapter = pass.taps.adapter({WriterKind::embedding_norm});
  if (!adapter) return norm_layer(x, embed_norm_, scale, normalized, pass);
  // The bias as a matrix whose only input is 1, for each row of the batch.
  const at::Tensor bias = embed_norm_.bias.view().to(dtype_);
  const at::Tensor written = adapter->around(at::ones({x.size(0), 1, 1}, x.options()),
                                             [&](const at::Tensor& one) { return one * bias; });
  return norm_layer(x, {embed_norm_.gain, {}}, scale, normalized, pass) + written;
}

at::Tensor Model::embed(const ModelInput& input, const at::Tensor& positions,
                        const Taps& taps) const {
  const auto lookup = [&](const Linear& table, const at::Tensor& ids, WriterKind writer) {
    at::Tensor rows = at::embedding(table.weight.view(), ids).to(dtype_);
    const Adapter* adapter = taps.adapter({writer});
    return adapter && adapter->after ? adapter->after(ids, std::move(rows)) : rows;
  };
  const at::Tensor tokens = taps.visit({Site::tokens, -1}, input.batch.tokens());
  at::Tensor x = lookup(embed_, tokens, WriterKind::token_embedding);
  if (spec_.d_embed > 0) {
    x = write_layer(x, embed_projection_, {WriterKind::embedding_projection}, taps);
  }
  if (spec_.embed_scale != 1.0) x = x * at::scalar_tensor(spec_.embed_scale, x.options());
  const Pass pass{spec_, taps, positions, {}, {}, {}, nullptr};
  if (spec_.embed_norm) x = embed_normed(x, pass);
  x = taps.visit({Site::embed, -1}, std::move(x));
  if (!has_position_table(spec_)) return x;
  const at::Tensor places = positions + spec_.position_offset;
  const at::Tensor added = spec_.position == PositionKind::learned
                               ? lookup(pos_embed_, places, WriterKind::positional_embedding)
                               : at::embedding(sinusoids_, places).to(dtype_);
  return x + taps.visit({Site::pos_embed, -1}, added);
}

at::Tensor Model::unembed(at::Tensor residual, const Batch& batch, const Pass& pass,
                          Logits logits) const {
  if (logits == Logits::last) {
    const at::Tensor rows = at::arange(batch.rows(), batch.tokens().options());
    residual = residual.index({rows, batch.last()}).unsqueeze(1);
  }
  if (spec_.final_norm) {
    residual = norm_layer(residual, ln_final_, {Site::ln_final_scale, -1},
                          {Site::ln_final_normalized, -1}, pass);
  }
  if (spec_.d_embed > 0) residual = unembed_projection_(residual);
  const at::Tensor x = pass.taps.visit({Site::unembed_in, -1}, residual);
  if (logits == Logits::none) return {};
  at::Tensor y = pass.taps.visit({Site::unembed_out, -1}, unembed_(x));
  if (spec_.logit_scale != 1.0) y = y * spec_.logit_scale;
  if (spec_.logit_softcap > 0.0) y = capped(y, spec_.logit_softcap);
  return y;
}

ModelOutput Model::run(const ModelInput& input, const Taps& taps, const Wanted& wanted) const {
  const Plan plan = make_plan(spec_, taps, wanted);
  check_tokens(input.batch, spec_);
  const at::Tensor positions =
      input.positions.defined() ? input.positions : input.batch.positions();
  check_positions(positions, spec_);
  Pass pass = make_pass(input, positions, taps);
  pass.places = wanted.places;
  TORCH_CHECK_VALUE(!pass.places.defined() || wanted.logits != Logits::last,
                    "places are given, expected logits of all of them or none, not the last");

  at::Tensor x = input.residual;
  if (plan.first == 0 && !x.defined()) x = embed(input, positions, taps);
  TORCH_CHECK_VALUE(x.defined(), "residual is missing, expected [batch, pos, ", spec_.d_model,
                    "] since start_at_layer is ", plan.first);
  for (int layer = plan.first; layer < plan.whole; ++layer) {
    x = block(std::move(x), layers_[layer], layer, pass);
  }
  if (plan.partial) x = block(std::move(x), layers_[plan.whole], plan.whole, pass, plan.last);
  if (!plan.final_norm) return {{}, x};
  return {unembed(x, input.batch, pass, plan.logits), x};
}

KvCache Model::make_cache(int64_t rows, int64_t slots) const {
  return KvCache(spec_.n_layers, rows, spec_.n_kv_heads, spec_.d_head, spec_.d_value, slots,
                 at::TensorOptions().dtype(dtype_).device(device_));
}

const std::shared_ptr<Stored>& Model::stored(const std::string& name) const {
  const auto found = stored_.find(name);
  TORCH_CHECK_INDEX(found != stored_.end(), "the checkpoint has no tensor '", name, "'");
  return found->second;
}

const Weight& Model::weight(const std::string& canonical) const {
  const Weight* found = find_weight(canonical);
  TORCH_CHECK_INDEX(found, "the model has no weight '", canonical, "'");
  return *found;
}

const Weight* Model::find_weight(const std::string& canonical) const {
  const auto found = weights_.find(canonical);
  return found == weights_.end() ? nullptr : &found->second;
}

}  // namespace lenswright
