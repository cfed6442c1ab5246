#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "edits/commit.h"
#include "edits/edit.h"
#include "io/checkpoint.h"
#include "io/json.h"

namespace lenswright {

/// Name of the file beside committed weights that says what was done.
inline constexpr const char* kRecord = "lenswright.json";

/// What one commit did, as that file tells it.
struct RecordStep {
  std::string id;                                    // of the edit
  std::shared_ptr<Edit> edit;                        // with its factors
  std::map<std::string, Committed::Change> tensors;  // by stored name
  std::string added;                                 // the unembedding it added, or ""
  int64_t dequantised = 0;
  std::string journal;  // file of the folder, or ""
  bool card = false;    // whether README.md got a section
};

/// Every step, first to last. Nobody vouches for the file: ValueError by key where it is damaged,
/// where there is none, and where a step is of a version that kept no factors.
std::vector<RecordStep> read_record(const Checkpoint& folder);

/// How many steps the folder's record has; 0 where there is none.
size_t recorded_steps(const Checkpoint& folder);

/// The text of it: what earlier commits wrote, and this one. `measured`: JSON of what was measured,
/// or "".
std::string record_text(const Checkpoint& input, const Edit& edit, const Committed& done,
                        const std::string& measured);

}  // namespace lenswright
