#pragma once

#include <cstdint>

#include "base/arithmetic.h"

namespace lenswright {

/// One head of one row of a batch: queries [queries, d], keys and values [keys, d], the queries
/// being the last of the keys. Strides are from place to place.
template <typename T>
struct Head {
  const T* q;
  const T* keys_turned;  // [d, keys], see turn_keys
  const T* v;
  T* z;  // [queries, d_value], overwritten
  int64_t q_stride, v_stride, z_stride;
  int64_t queries, keys, d, d_value;
  AttentionRule rule;
  T slope, origin;  // slope · (key - origin) is added to a key's score
  const T* sink;    // a logit beside the keys'; null where there is none
};

/// k [keys, d] as [d, keys].
template <typename T>
void turn_keys(const T* k, int64_t stride, int64_t keys, int64_t d, T* turned);

/// z = softmax(scores) v, each query up to its own key as far as the rule lets it look, in an order
/// that depends on nothing but the query's place. `weights` is room for one number a key.
void attend_head(const Head<float>& head, float* weights);
void attend_head(const Head<double>& head, double* weights);

}  // namespace lenswright
