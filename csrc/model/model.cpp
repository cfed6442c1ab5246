#include "model/model.h"

#include <ATen/ATen.h>

#include "nn/deterministic.h"

namespace lenswright {
namespace {

void check_tokens(const Batch& batch, const Spec& spec) {
  const int64_t low = batch.tokens().min().item<int64_t>();
  const int64_t high = batch.tokens().max().item<int64_t>();
  TORCH_CHECK_INDEX(low >= 0 && high < spec.d_vocab, "tokens has id ", low < 0 ? low : high,
                    ", expected 0 to ", spec.d_vocab - 1, " (d_vocab is ", spec.d_vocab, ")");
}

void check_positions(const at::Tensor& positions, const Spec& spec) {
  if (spec.position != PositionKind::learned) return;
  const int64_t high = positions.max().item<int64_t>();
  TORCH_CHECK_VALUE(high < spec.n_ctx, "tokens are ", high + 1, " long, expected at most n_ctx ",
                    spec.n_ctx, " (positions are learned)");
}

// Attention row by row, in deterministic runs; nothing otherwise.
RowSpans row_spans(const Input& input, const at::Tensor& positions) {
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

Pass Model::make_pass(const Input& input, const at::Tensor& positions, const Taps& taps) const {
  Pass pass{spec_, taps, positions, {}, {}, row_spans(input, positions), input.cache};
  if (spec_.position == PositionKind::rope) {
    pass.rope = rope_table(positions, spec_.rope.theta, spec_.rope.dim, dtype_);
  }
  if (input.cache) {
    const int64_t before = input.cache->used();
    input.cache->extend_to(positions.max().item<int64_t>() + 1);
    pass.mask = cached_mask(positions, before, input.cache->used());
  } else {
    pass.mask = input.batch.mask();
  }
  return pass;
}

at::Tensor Model::embed(const Input& input, const at::Tensor& positions, const Taps& taps) const {
  const auto lookup = [&](const Linear& table, const at::Tensor& ids, Site site) {
    at::Tensor rows = at::embedding(table.weight.view(), ids).to(dtype_);
    const Point point{site, -1};
    const Adapter* adapter = taps.adapter(point);
    if (adapter && adapter->after) rows = adapter->after(ids, std::move(rows));
    return taps.visit(point, std::move(rows));
  };
  const at::Tensor tokens = taps.visit({Site::tokens, -1}, input.batch.tokens());
  const at::Tensor x = lookup(embed_, tokens, Site::embed);
  if (spec_.position != PositionKind::learned) return x;
  return x + lookup(pos_embed_, positions, Site::pos_embed);
}

at::Tensor Model::unembed(at::Tensor residual, const Batch& batch, const Pass& pass,
                          Logits logits) const {
  if (logits == Logits::last) {
    const at::Tensor rows = at::arange(batch.rows(), batch.tokens().options());
    residual = residual.index({rows, batch.last()}).unsqueeze(1);
  }
  const at::Tensor x = pass.taps.visit({Site::unembed_in, -1},
                                       norm_layer(residual, ln_final_, {Site::ln_final_scale, -1},
                                                  {Site::ln_final_normalized, -1}, pass));
  if (logits == Logits::none) return {};
  return pass.taps.visit({Site::unembed_out, -1}, unembed_(x));
}

Output Model::run(const Input& input, const Taps& taps, const Wanted& wanted) const {
  const Plan plan = make_plan(spec_, taps, wanted);
  check_tokens(input.batch, spec_);
  const at::Tensor positions =
      input.positions.defined() ? input.positions : input.batch.positions();
  check_positions(positions, spec_);
  const Pass pass = make_pass(input, positions, taps);

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
  return KvCache(spec_.n_layers, rows, spec_.n_kv_heads, spec_.d_head, slots,
                 at::TensorOptions().dtype(dtype_).device(device_));
}

const std::shared_ptr<Stored>& Model::stored(const std::string& name) const {
  const auto found = stored_.find(name);
  TORCH_CHECK_INDEX(found != stored_.end(), "the checkpoint has no tensor '", name, "'");
  return found->second;
}

const Weight& Model::weight(const std::string& canonical) const {
  const auto found = weights_.find(canonical);
  TORCH_CHECK_INDEX(found != weights_.end(), "the model has no weight '", canonical, "'");
  return found->second;
}

}  // namespace lenswright
