#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/json.h"
#include "spec/rows.h"
#include "spec/spec.h"

namespace lenswright {

/// A family of checkpoints: how its config.json becomes a `Spec`, and where its weights lie.
///
/// Adding one is adding a file under families/ and a line in family.cpp.
struct Family {
  std::string architecture;                    // config.json: architectures[0]
  std::string model_type;                      // config.json: model_type
  Spec (*read)(const Json& config);            // throws std::invalid_argument by key
  std::vector<Row> (*rows)(const Spec& spec);  // names as transformers writes them
  std::vector<std::string> prefixes;  // optional first parts of stored names ("transformer.")
  std::vector<std::string> ignored;   // globs: stored tensors that hold no weight
};

const std::vector<Family>& families();

/// The family's rows with the names a checkpoint uses: where it leaves out the first part of every
/// name ("transformer."), so do they; optional weights it lacks are left out.
std::vector<Row> rows_in(const Family& family, const Spec& spec,
                         const std::function<bool(const std::string&)>& contains);

/// Where an unembedding of its own lies in checkpoints of this family, tied or not.
Row head_row(const Family& family, Spec spec);

/// The family a config.json names. Throws std::invalid_argument that lists the known ones, or names
/// the quantisation where the checkpoint has one.
const Family& family_of(const Json& config);

}  // namespace lenswright
