#include "nn/attention_rows.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <functional>
#include <limits>

#include "nn/attention.h"
#include "nn/attention_kernel.h"
#include "nn/attention_mask.h"
#include "nn/deterministic.h"

namespace lenswright {
namespace {

at::Tensor places(const at::Tensor& x, int64_t row, int64_t start, int64_t count) {
  return x.narrow(0, row, 1).narrow(2, start, count).contiguous();
}

at::Tensor square(const at::Tensor& all, int64_t row, const RowSpan& s) {
  return all.narrow(0, row, 1).narrow(2, s.query, s.queries).narrow(3, s.key, s.keys).contiguous();
}

// What is made of each row, in the rectangle of its real places; `fill` elsewhere.
using RowFunction = std::function<at::Tensor(int64_t row, const RowSpan& span)>;
at::Tensor assembled(at::IntArrayRef shape, const at::TensorOptions& options, const RowSpans& spans,
                     double fill, const RowFunction& make) {
  at::Tensor all = at::full(shape, fill, options);
  for (size_t row = 0; row < spans.size(); ++row) {
    const RowSpan& s = spans[row];
    const int64_t i = static_cast<int64_t>(row);
    all[i].narrow(1, s.query, s.queries).narrow(2, s.key, s.keys).copy_(make(i, s)[0]);
  }
  return all;
}

bool loops_serve(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                 const AttentionSetting& set) {
  const bool wanted = q.requires_grad() || k.requires_grad() || v.requires_grad() ||
                      (set.sinks.defined() && set.sinks.requires_grad());
  const bool graph = c10::GradMode::is_enabled() && wanted;
  const bool type = q.scalar_type() == at::kFloat || q.scalar_type() == at::kDouble;
  return !graph && type && q.is_cpu();
}

at::Tensor dense(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

// All heads that share one head of keys and values, of one row. slopes and sinks: by head, or
// nothing.
template <typename T>
void attend_group(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, at::Tensor& z,
                  int64_t row, int64_t kv_head, const RowSpan& s, const AttentionSetting& set) {
  const int64_t group = q.size(1) / k.size(1), d = q.size(3);
  const auto at = [&](const at::Tensor& x, int64_t head, int64_t place) {
    return x.data_ptr<T>() + row * x.stride(0) + head * x.stride(1) + place * x.stride(2);
  };
  std::vector<T> room(static_cast<size_t>(s.keys * (d + 1)));
  T* turned = room.data() + s.keys;
  turn_keys<T>(at(k, kv_head, s.key), k.stride(2), s.keys, d, turned);
  const T* slopes = set.slopes.defined() ? set.slopes.const_data_ptr<T>() : nullptr;
  const T* sinks = set.sinks.defined() ? set.sinks.const_data_ptr<T>() : nullptr;
  const T origin = set.from_end ? static_cast<T>(s.keys - 1) : T{0};
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    attend_head({at(q, head, s.query), turned, at(v, kv_head, s.key), at(z, head, s.query),
                 q.stride(2), v.stride(2), z.stride(2), s.queries, s.keys, d, v.size(3), set.rule,
                 slopes ? slopes[head] : T{0}, origin, sinks ? sinks + head : nullptr},
                room.data());
  }
}

}  // namespace

AttentionSetting row_setting(const AttentionSetting& set, const RowSpan& s,
                             const at::TensorOptions& options) {
  AttentionSetting own = set;
  const at::Tensor keys = at::arange(s.keys, options.dtype(at::kLong)).unsqueeze(0);
  const at::Tensor queries = keys.narrow(1, s.keys - s.queries, s.queries);
  own.mask = within_sight({}, queries, keys, set.rule);
  if (set.slopes.defined()) {
    const at::Tensor end = set.from_end ? keys.select(1, s.keys - 1) : at::Tensor();
    own.bias = alibi_bias(set.slopes, keys, end);
  }
  return own;
}

at::Tensor row_scores(const at::Tensor& q, const at::Tensor& k, const RowSpans& spans,
                      const AttentionSetting& set) {
  return assembled({q.size(0), q.size(1), q.size(2), k.size(2)}, q.options(), spans,
                   -std::numeric_limits<double>::infinity(), [&](int64_t row, const RowSpan& s) {
                     return attention_scores(places(q, row, s.query, s.queries),
                                             places(k, row, s.key, s.keys),
                                             row_setting(set, s, q.options()));
                   });
}

at::Tensor row_pattern(const at::Tensor& scores, const RowSpans& spans, const at::Tensor& sinks) {
  return assembled(scores.sizes(), scores.options(), spans, 0.0,
                   [&](int64_t row, const RowSpan& s) {
                     return attention_pattern(square(scores, row, s), sinks);
                   });
}

at::Tensor row_sink_mass(const at::Tensor& scores, const RowSpans& spans, const at::Tensor& sinks) {
  at::Tensor mass = at::zeros(scores.sizes().slice(0, 3), scores.options());
  for (size_t row = 0; row < spans.size(); ++row) {
    const int64_t i = static_cast<int64_t>(row);
    mass[i]
        .narrow(1, spans[row].query, spans[row].queries)
        .copy_(sink_mass(square(scores, i, spans[row]), sinks)[0]);
  }
  return mass;
}

at::Tensor row_mix(const at::Tensor& pattern, const at::Tensor& v, const RowSpans& spans) {
  at::Tensor z =
      at::zeros({pattern.size(0), pattern.size(1), pattern.size(2), v.size(3)}, v.options());
  for (size_t row = 0; row < spans.size(); ++row) {
    const RowSpan& s = spans[row];
    const int64_t i = static_cast<int64_t>(row);
    const at::Tensor mixed = attention_mix(square(pattern, i, s), places(v, i, s.key, s.keys));
    z[i].narrow(1, s.query, s.queries).copy_(mixed[0]);
  }
  return z;
}

at::Tensor row_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const RowSpans& spans, const AttentionSetting& set) {
  if (!loops_serve(q, k, v, set)) {
    return row_mix(row_pattern(row_scores(q, k, spans, set), spans, set.sinks), v, spans);
  }
  const at::Tensor dense_q = dense(q), dense_k = dense(k), dense_v = dense(v);
  const int64_t kv_heads = k.size(1);
  // [batch, query, heads, d_value] in memory: what reads it next joins the heads without a copy.
  at::Tensor z = at::zeros({q.size(0), q.size(2), q.size(1), v.size(3)}, q.options());
  at::Tensor by_head = z.transpose(1, 2);
  in_parallel(static_cast<int64_t>(spans.size()) * kv_heads, [&](int64_t task) {
    const int64_t row = task / kv_heads, head = task % kv_heads;
    const RowSpan& span = spans[static_cast<size_t>(row)];
    if (q.scalar_type() == at::kFloat) {
      attend_group<float>(dense_q, dense_k, dense_v, by_head, row, head, span, set);
    } else {
      attend_group<double>(dense_q, dense_k, dense_v, by_head, row, head, span, set);
    }
  });
  return by_head;
}

}  // namespace lenswright
