#pragma once

#include "spec/family.h"

namespace lenswright {

Family gpt2_family();
Family llama_family();

}  // namespace lenswright
