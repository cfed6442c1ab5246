#pragma once

#include <array>
#include <string>

#include "edits/methods/method.h"
#include "edits/methods/oblique.h"
#include "edits/methods/plain.h"
#include "edits/methods/row_norm.h"
#include "edits/methods/subspace.h"
#include "edits/methods/write_norm.h"

namespace lenswright {

/// Ways to take directions out of what is written. "projected" is plain with a direction that was
/// made orthogonal to others first, which it cannot do without.
inline constexpr std::array<AblationMethod, 10> kMethods{
    {{"plain", false, false, plain, nullptr},
     {"projected", false, false, plain, nullptr},
     {"write_norm", false, false, plain, write_norm},
     {"row_norm", false, false, plain, row_norm},
     {"row_oblique", false, false, plain, row_oblique},
     {"oblique", true, true, oblique, nullptr},
     {"subspace", true, false, subspace, nullptr},
     {"ridge", true, false, ridge, nullptr},
     {"reflection", false, false, reflection, nullptr},
     {"strengthen", false, false, strengthen, nullptr}}};

}  // namespace lenswright
