#pragma once

#include "spec/families/list.h"
#include "spec/family.h"

namespace lenswright {

// One file for each family or kin of families; list.h names them all.

#define LENSWRIGHT_DECLARE(name) std::vector<Family> name##_families();
LENSWRIGHT_FAMILIES(LENSWRIGHT_DECLARE)
#undef LENSWRIGHT_DECLARE

std::vector<Family> all_families();

}  // namespace lenswright
