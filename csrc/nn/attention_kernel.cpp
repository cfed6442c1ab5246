#include "nn/attention_kernel.h"

#include <cmath>
#include <limits>

#include "base/clones.h"

namespace lenswright {
namespace {

#define LENSWRIGHT_INLINE inline __attribute__((always_inline))

// sum[i] += factors[j] * rows[j][i] for all j: four rows at a time, added one after the other.
template <typename T>
LENSWRIGHT_INLINE void add_rows(const T* factors, int64_t rows, const T* from, int64_t stride,
                                T* __restrict sum, int64_t count) {
  int64_t j = 0;
  for (; j + 4 <= rows; j += 4) {
    const T f0 = factors[j], f1 = factors[j + 1], f2 = factors[j + 2], f3 = factors[j + 3];
    const T* __restrict r0 = from + j * stride;
    const T* __restrict r1 = r0 + stride;
    const T* __restrict r2 = r1 + stride;
    const T* __restrict r3 = r2 + stride;
    for (int64_t i = 0; i < count; ++i) {
      sum[i] = (((sum[i] + f0 * r0[i]) + f1 * r1[i]) + f2 * r2[i]) + f3 * r3[i];
    }
  }
  for (; j < rows; ++j) {
    const T f = factors[j];
    const T* __restrict row = from + j * stride;
    for (int64_t i = 0; i < count; ++i) sum[i] += f * row[i];
  }
}

// The first key a query at this place may look at.
LENSWRIGHT_INLINE int64_t first_seen(const AttentionRule& rule, int64_t place) {
  int64_t first = 0;
  if (rule.window > 0 && place - rule.window + 1 > first) first = place - rule.window + 1;
  if (rule.chunk > 0 && place / rule.chunk * rule.chunk > first) {
    first = place / rule.chunk * rule.chunk;
  }
  return first;
}

// q·k of keys [first, first + count), in place, as scores.
template <typename T>
LENSWRIGHT_INLINE void finish_scores(const Head<T>& head, T* weights, int64_t first,
                                     int64_t count) {
  const T scale = static_cast<T>(head.rule.scale), cap = static_cast<T>(head.rule.softcap);
  for (int64_t j = 0; j < count; ++j) weights[j] *= scale;
  if (cap > 0) {
    for (int64_t j = 0; j < count; ++j) weights[j] = std::tanh(weights[j] / cap) * cap;
  }
  if (head.slope != 0) {
    for (int64_t j = 0; j < count; ++j) {
      weights[j] += head.slope * (static_cast<T>(first + j) - head.origin);
    }
  }
}

template <typename T>
LENSWRIGHT_INLINE void softmax(T* weights, int64_t count, const T* sink) {
  T top = sink ? *sink : -std::numeric_limits<T>::infinity();
  for (int64_t j = 0; j < count; ++j) {
    if (weights[j] > top) top = weights[j];
  }
  T total = sink ? std::exp(*sink - top) : 0;
  for (int64_t j = 0; j < count; ++j) total += weights[j] = std::exp(weights[j] - top);
  for (int64_t j = 0; j < count; ++j) weights[j] /= total;
}

template <typename T>
LENSWRIGHT_INLINE void attend(const Head<T>& head, T* weights) {
  for (int64_t i = 0; i < head.queries; ++i) {
    const int64_t place = head.keys - head.queries + i;
    const int64_t first = first_seen(head.rule, place), count = place + 1 - first;
    for (int64_t j = 0; j < count; ++j) weights[j] = 0;
    add_rows(head.q + i * head.q_stride, head.d, head.keys_turned + first, head.keys, weights,
             count);
    finish_scores(head, weights, first, count);
    softmax(weights, count, head.sink);
    T* z = head.z + i * head.z_stride;
    for (int64_t e = 0; e < head.d_value; ++e) z[e] = 0;
    add_rows(weights, count, head.v + first * head.v_stride, head.v_stride, z, head.d_value);
  }
}

}  // namespace

template <typename T>
void turn_keys(const T* k, int64_t stride, int64_t keys, int64_t d, T* turned) {
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t e = 0; e < d; ++e) turned[e * keys + j] = k[j * stride + e];
  }
}

template void turn_keys(const float*, int64_t, int64_t, int64_t, float*);
template void turn_keys(const double*, int64_t, int64_t, int64_t, double*);

LENSWRIGHT_CLONES void attend_head(const Head<float>& head, float* weights) {
  attend(head, weights);
}

LENSWRIGHT_CLONES void attend_head(const Head<double>& head, double* weights) {
  attend(head, weights);
}

}  // namespace lenswright
