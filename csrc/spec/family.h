#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "io/json.h"
#include "spec/rows.h"
#include "spec/spec.h"

namespace lenswright {

/// Other first parts of stored names: {"model.", "language_model.model."} ...
using Renaming = std::vector<std::pair<std::string, std::string>>;

/// A family of checkpoints: how its config.json becomes a `Spec`, and where its weights lie.
///
/// Adding one is adding a file under families/ and a line in families.h.
struct Family {
  using RowsOf = std::vector<Row> (*)(const Spec& spec);

  std::string architecture;                      // config.json: architectures[0]
  std::string model_type;                        // config.json: model_type
  std::function<Spec(const Json& config)> read;  // throws std::invalid_argument by key
  /// Names as transformers writes them, the token embedding first and the unembedding last; where
  /// checkpoints come in several layouts, one function for each.
  std::vector<RowsOf> layouts;
  std::vector<Renaming> renamings{};   // tried in turn where the names are not as written
  std::vector<std::string> ignored{};  // globs: stored tensors that hold no weight of the decoder
  /// Of an architecture that stands before several kinds of decoder: which one this is, by the
  /// model_type in its text_config.
  std::string text_type{};
};

const std::vector<Family>& families();

/// The decoder's spec. Throws std::invalid_argument by key.
Spec spec_of(const Family& family, const Json& config);

/// The family's rows in the layout and with the names a checkpoint uses; optional weights it lacks
/// are left out. Rows of the first layout where none fits. Shapes, where they are told, decide
/// between layouts of the same names.
std::vector<Row> rows_in(
    const Family& family, const Spec& spec, const std::function<bool(const std::string&)>& contains,
    const std::function<std::vector<int64_t>(const std::string&)>& shape = nullptr);

/// Where an unembedding of its own lies in such a checkpoint, tied or not.
Row head_row(const Family& family, Spec spec,
             const std::function<bool(const std::string&)>& contains);

/// The family a config.json names. Throws std::invalid_argument that lists the known ones, or names
/// the quantisation where it is one that is not read.
const Family& family_of(const Json& config);

}  // namespace lenswright
