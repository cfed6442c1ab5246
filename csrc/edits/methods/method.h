#pragma once

#include "edits/aims.h"
#include "edits/factors.h"
#include "edits/writer_values.h"

namespace lenswright {

struct Strength {
  double weight = 1.0;  // 1 does what the method says, whole
  double ridge = 0.0;   // of method "ridge"
};

/// How an ablation makes a writer's factors. `shared` needs the aim only and is made once for all
/// writers that share it; `own`, where there is one, finishes them by the writer's own weight.
struct AblationMethod {
  const char* name;
  bool many;   // takes several directions at once
  bool reads;  // needs vectors to read along
  Factors (*shared)(const Aim& aim, const Strength& strength);
  Factors (*own)(const WriterValues& values, const Aim& aim, const Strength& strength,
                 const Factors& shared);
};

}  // namespace lenswright
