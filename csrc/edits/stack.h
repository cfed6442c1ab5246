#pragma once

#include <memory>
#include <vector>

#include "edits/edit.h"

namespace lenswright {

/// Many edits as rows of one, for runs where row i of a batch carries the i-th. What an edit lacks
/// is filled with factors that change nothing (ones and zeros), so that row i does what it does by
/// itself. Throws ValueError, naming the edit by its place, where one has rows of its own, changes
/// tensors by their names or was made for other tensors; also where there are none.
std::shared_ptr<Edit> stacked(const std::vector<std::shared_ptr<Edit>>& edits);

}  // namespace lenswright
