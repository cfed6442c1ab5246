#include "edits/methods/plain.h"

#include <ATen/ATen.h>

namespace lenswright {

Factors plain(const Aim& aim, const Strength& strength) {
  Factors factors;
  factors.v = aim.read;
  factors.u = strength.weight == 1.0 ? aim.write : strength.weight * aim.write;
  return factors;
}

Factors reflection(const Aim& aim, const Strength& strength) {
  return plain(aim, {2.0 * strength.weight});
}

Factors strengthen(const Aim& aim, const Strength& strength) {
  return plain(aim, {-strength.weight});
}

}  // namespace lenswright
