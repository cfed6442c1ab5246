#include "merge/spherical.h"

#include <algorithm>
#include <cmath>

namespace lenswright {

Coefficients on_circle(double cosine, double t, double opposite) {
  cosine = std::clamp(cosine, -1.0, 1.0);
  const double angle = std::acos(cosine), sine = std::sin(angle);
  if (cosine < -opposite || std::abs(sine) < 1e-8) return {1 - t, t};
  return {std::sin((1 - t) * angle) / sine, std::sin(t * angle) / sine};
}

}  // namespace lenswright
